"""The graph of an exported model: its signatures, and the requests that warm it up."""
