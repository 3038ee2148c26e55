"""From a recording to its explanation: the model, the compiled step, the record of the result, the verdict."""
