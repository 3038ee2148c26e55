"""A listening study: do people understand explanations, and which do they prefer?

design   who hears what, in which order: blind, balanced, drawn from one seed
sounds   the explanations of one recording by several methods, at one level
make     a page for listeners and a key for those who ask
score    the listeners' answers, with intervals and tests
"""
