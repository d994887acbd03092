"""The quality of a trained model: what is measured for its report, and the charts."""
