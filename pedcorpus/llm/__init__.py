"""Calls to OpenAI-compatible servers: prompts, requests, cache, budget, limiter, client."""
