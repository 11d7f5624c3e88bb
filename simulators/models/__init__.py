"""Language-model APIs on loopback: Anthropic, OpenAI, Gemini and DeepSeek, answering with synthetic forecasts."""
