"""The networks in Keras. Only training, export and import come here; the live path does not.

A network is a body, which turns what it reads of each event into a hidden vector, and the heads, which
turn that vector into predictions. Bodies stand behind one interface, by name (`bodies`); all have the
same heads (`heads`). `building` puts them together.
"""
