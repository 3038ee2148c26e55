"""What everything else stands on: protocols, types, settings, errors, registries. Knows no model."""
