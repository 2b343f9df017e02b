"""Training on the datasets that the core builds. Imports run training → core, never back."""
