"""Sphinx configuration: ``make docs`` builds the pages, warnings are errors."""

from deltarule import __version__

project = "deltarule"
author = "The deltarule developers"
copyright = "The deltarule developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "code"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"deltarule {release}"
