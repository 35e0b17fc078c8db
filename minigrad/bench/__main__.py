"""The process of one peer: see process.py."""

import sys

from .process import main

main(*sys.argv[1:])
