"""Somebody's own Keras model as a version of the model store: checked first, then served over the window.

`archive` looks into the file before anything of it is loaded, `surgery` finds its heads, `trials` runs
it on made-up windows, and `publishing` does all of this and writes the version.
"""
