"""Right hand-written backwards in many styles, and a machine that makes wrong ones of them."""
