"""The article's equations in NumPy, one function an equation (article, section 4.1).

`probability` is the language model's chain rule, `convolution` the convolutional network,
`recurrence` the recurrent one; `alignment` brings two sequences into step; `activations` holds the
σ that all of them share. Everything works on a batch at once, vectors are rows, and every backward
function takes the gradient of the loss with respect to what the forward function returned.
"""
