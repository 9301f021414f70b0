"""Widgets of our own: line-API charts and tables that repaint in a few milliseconds."""
