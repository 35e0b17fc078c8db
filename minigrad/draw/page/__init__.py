"""A picture as one self-contained HTML file: `Picture.html()`, or `Picture.save("x.html")`.

In reading order: `facts` says what is known of each box, `walk` in what order a step is explained,
`figure` makes Graphviz's SVG ready, `writing` puts it all into page.html with page.css and the scripts
view.js (zoom), light.js (what is lit and said) and page.js (what a reader does). Nothing is loaded
from anywhere; without JavaScript the picture and its table are still there.
"""

from .writing import Highlight, framed, page

__all__ = ["Highlight", "framed", "page"]
