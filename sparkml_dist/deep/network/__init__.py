"""Networks: builders, inputs and outputs, and checks of saved files."""
