"""The last signed prices, kept where the core's end does not reach: an object in an S3 bucket."""
