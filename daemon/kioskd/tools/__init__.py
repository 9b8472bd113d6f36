"""Tools that the model is allowed to use: their kinds, their contract, and the toolbox that guards them."""
