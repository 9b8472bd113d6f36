"""What the model is allowed to do: the kinds of tools, the contract that all of them meet, and the toolbox that guards them."""
