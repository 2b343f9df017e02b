"""Where stage functions run. Every engine gives the same bytes."""
