"""The recurrent network: the article's recurrence and the LSTM, forwards and through time.

The article (section 4.1) prints ``h_t = σ(W_h · [h_{t−1}, x_t] + b_h)``: one matrix over the
state and the input end to end. Keras keeps that matrix in two pieces; `split_weights` and
`join_weights` go from one form to the other. The listing (section 5.2) has an LSTM instead, whose
weights lie here as Keras keeps them: ``kernel`` (features, 4 · units) and ``recurrent``
(units, 4 · units), in each of them the input gate, the forget gate, the candidate and the output
gate side by side, in this order.

Everything works on a batch at once and keeps the dtype that it is given; the only loop is over
time, because each step needs the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmtutorial.equations.activations import ACTIVATIONS, sigmoid


def join_weights(kernel: np.ndarray, recurrent: np.ndarray) -> np.ndarray:
    """Put Keras's two matrices on top of each other: the article's W_h.

    Parameters
    ----------
    kernel : ndarray
        (features, units), what the input is multiplied by.
    recurrent : ndarray
        (units, units), what the state is multiplied by.

    Returns
    -------
    ndarray
        (units + features, units): the state's rows come first, as in ``[h_{t−1}, x_t]``.

    Raises
    ------
    ValueError
        If the two do not have as many columns as ``recurrent`` has rows.

    Examples
    --------
    >>> join_weights(np.zeros((3, 2)), np.ones((2, 2))).sum(axis=1).tolist()
    [2.0, 2.0, 0.0, 0.0, 0.0]
    """
    units = len(recurrent)
    if kernel.ndim != 2 or recurrent.shape != (units, units) or kernel.shape[1] != units:
        raise ValueError(
            f"kernel is {kernel.shape} and recurrent {recurrent.shape}; "
            "they must be (features, units) and (units, units)"
        )
    return np.concatenate([recurrent, kernel])


def split_weights(joined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the article's W_h into Keras's kernel and recurrent kernel.

    Parameters
    ----------
    joined : ndarray
        (units + features, units).

    Returns
    -------
    kernel, recurrent : ndarray
        (features, units) and (units, units), views of ``joined``, in Keras's order.

    Raises
    ------
    ValueError
        If ``joined`` has fewer rows than columns: then no state fits.

    Examples
    --------
    >>> kernel, recurrent = split_weights(np.zeros((5, 2)))
    >>> kernel.shape, recurrent.shape
    ((3, 2), (2, 2))
    """
    if joined.ndim != 2 or joined.shape[0] < joined.shape[1]:
        raise ValueError(
            f"joined is {joined.shape}; it must be (units + features, units), "
            "at least as many rows as columns"
        )
    units = joined.shape[1]
    return joined[units:], joined[:units]


def recurrence(
    x: np.ndarray,
    joined: np.ndarray,
    bias: np.ndarray,
    activation: str = "tanh",
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """Run the article's recurrence, h_t = σ([h_{t−1}, x_t] W_h + b_h), over a batch of sequences.

    Parameters
    ----------
    x : ndarray
        (batch, time, features).
    joined : ndarray
        (units + features, units), W_h.
    bias : ndarray
        (units,), b_h.
    activation : str
        σ, one of `mmtutorial.equations.activations.ACTIVATIONS`.
    initial : ndarray, optional
        (batch, units), h_0; zeros without it.

    Returns
    -------
    ndarray
        (batch, time, units), the states h_1 … h_T, of the dtype of ``x``. Equals
        ``keras.layers.SimpleRNN(units, activation, return_sequences=True)``.

    Raises
    ------
    ValueError
        For shapes that do not fit, or an unknown activation.

    Examples
    --------
    >>> recurrence(np.ones((1, 3, 1)), np.ones((2, 1)), np.zeros(1), "linear").ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; we have {sorted(ACTIVATIONS)}")
    kernel, recurrent = split_weights(joined)
    _check(x, kernel, recurrent, bias, gates=1)
    function = ACTIVATIONS[activation].function
    state = _start(initial, x, len(recurrent))
    states = np.empty((*x.shape[:2], len(recurrent)), x.dtype)
    from_input = x @ kernel + bias  # the part of every a_t that needs no state
    for t in range(x.shape[1]):
        state = states[:, t] = function(from_input[:, t] + state @ recurrent)
    return states


class RecurrenceGradients(NamedTuple):
    """Gradients of a loss by everything that a recurrence takes in; see `recurrence_backward`.

    ``x`` (batch, time, features), ``joined`` (units + features, units), ``bias`` (units,),
    ``initial`` (batch, units), and ``states`` (batch, time, units): the whole gradient by each
    h_t, through all later steps.
    """

    x: np.ndarray
    joined: np.ndarray
    bias: np.ndarray
    initial: np.ndarray
    states: np.ndarray


def recurrence_backward(
    gradient: np.ndarray,
    x: np.ndarray,
    states: np.ndarray,
    joined: np.ndarray,
    activation: str = "tanh",
    initial: np.ndarray | None = None,
) -> RecurrenceGradients:
    """Differentiate a loss through `recurrence`: back-propagation through time.

    With δ_t the gradient by a_t, what σ is applied to: δ_t = ∂L/∂h_t ⊙ σ'(a_t), and
    ∂L/∂h_{t−1} is what the loss says of h_{t−1} directly plus δ_t Uᵀ.

    Parameters
    ----------
    gradient : ndarray
        (batch, time, units): by each state, what the loss says of it directly. A loss of the last
        state alone has zeros everywhere but in ``gradient[:, -1]``.
    x, joined, activation, initial
        As given to `recurrence`.
    states : ndarray
        What it returned.

    Returns
    -------
    RecurrenceGradients

    Raises
    ------
    ValueError
        If ``gradient`` and ``states`` differ in shape.

    Examples
    --------
    >>> x, joined = np.ones((1, 3, 1)), np.array([[0.5], [1.0]])
    >>> states = recurrence(x, joined, np.zeros(1), "linear")
    >>> last = np.array([[[0.0], [0.0], [1.0]]])
    >>> recurrence_backward(last, x, states, joined, "linear").states.ravel().tolist()
    [0.25, 0.5, 1.0]
    """
    _same_shape(gradient, states)
    kernel, recurrent = split_weights(joined)
    derivative = ACTIVATIONS[activation].derivative(states)
    whole, delta = np.empty_like(states), np.empty_like(states)
    later = np.zeros_like(states[:, 0])  # what the steps after t say of h_t
    for t in reversed(range(x.shape[1])):
        whole[:, t] = gradient[:, t] + later
        delta[:, t] = whole[:, t] * derivative[:, t]
        later = delta[:, t] @ recurrent.T
    before = _before(states, initial)
    return RecurrenceGradients(
        x=delta @ kernel.T,
        joined=_outer(np.concatenate([before, x], axis=2), delta),
        bias=delta.sum(axis=(0, 1)),
        initial=later,
        states=whole,
    )


class Gates(NamedTuple):
    """Everything that an LSTM computes, step by step; each (batch, time, units).

    ``input``, ``forget`` and ``output`` are gates, between 0 and 1; ``candidate`` is what could
    be written, between −1 and 1; ``cell`` is the memory c_t, ``state`` what is shown of it, h_t.
    """

    input: np.ndarray
    forget: np.ndarray
    candidate: np.ndarray
    output: np.ndarray
    cell: np.ndarray
    state: np.ndarray


def lstm(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray,
    initial: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the states of an LSTM over a batch of sequences (Hochreiter & Schmidhuber, 1997).

    Parameters
    ----------
    x : ndarray
        (batch, time, features).
    kernel, recurrent, bias : ndarray
        (features, 4 · units), (units, 4 · units), (4 · units,), as
        ``keras.layers.LSTM.get_weights()`` gives them.
    initial : pair of ndarray, optional
        h_0 and c_0, each (batch, units); zeros without it.

    Returns
    -------
    ndarray
        (batch, time, units), h_1 … h_T, of the dtype of ``x``; ``[:, -1]`` is what the article's
        listing hands on. Equals ``keras.layers.LSTM(units, return_sequences=True)``.

    Raises
    ------
    ValueError
        For shapes that do not fit.

    Examples
    --------
    >>> x = np.ones((5, 7, 3))
    >>> lstm(x, np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8)).shape
    (5, 7, 2)
    """
    return lstm_gates(x, kernel, recurrent, bias, initial).state


def lstm_gates(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray,
    initial: tuple[np.ndarray, np.ndarray] | None = None,
) -> Gates:
    """Run an LSTM as `lstm` does, and return its gates, candidates and cells too.

    c_t = forget ⊙ c_{t−1} + input ⊙ candidate, and h_t = output ⊙ tanh(c_t).

    Examples
    --------
    >>> gates = lstm_gates(np.ones((1, 2, 1)), np.zeros((1, 4)), np.zeros((1, 4)), np.zeros(4))
    >>> gates.forget.ravel().tolist()
    [0.5, 0.5]
    """
    _check(x, kernel, recurrent, bias, gates=4)
    units = len(recurrent)
    state, cell = (_start(each, x, units) for each in (initial or (None, None)))
    gates = Gates(*np.empty((6, *x.shape[:2], units), x.dtype))
    from_input = x @ kernel + bias
    for t in range(x.shape[1]):
        raw = from_input[:, t] + state @ recurrent
        write, keep, show = (sigmoid(raw[:, n * units : (n + 1) * units]) for n in (0, 1, 3))
        candidate = np.tanh(raw[:, 2 * units : 3 * units])
        cell = keep * cell + write * candidate
        state = show * np.tanh(cell)
        for kept, value in zip(gates, (write, keep, candidate, show, cell, state), strict=True):
            kept[:, t] = value
    return gates


class LSTMGradients(NamedTuple):
    """Gradients of a loss by everything that an LSTM takes in; see `lstm_backward`.

    ``x``, ``kernel``, ``recurrent`` and ``bias`` have the shapes of what they are gradients by;
    ``initial`` is the pair for h_0 and c_0; ``states`` and ``cells``, each (batch, time, units),
    are the whole gradients by h_t and c_t, through all later steps and, for c_t, through h_t.
    """

    x: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    initial: tuple[np.ndarray, np.ndarray]
    states: np.ndarray
    cells: np.ndarray


def lstm_backward(
    gradient: np.ndarray,
    x: np.ndarray,
    gates: Gates,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    initial: tuple[np.ndarray, np.ndarray] | None = None,
) -> LSTMGradients:
    """Differentiate a loss through an LSTM.

    Parameters
    ----------
    gradient : ndarray
        (batch, time, units): by each state h_t, what the loss says of it directly.
    x, kernel, recurrent, initial
        As given to `lstm_gates`.
    gates : Gates
        What it returned.

    Returns
    -------
    LSTMGradients

    Raises
    ------
    ValueError
        If ``gradient`` and the states differ in shape.

    Examples
    --------
    >>> x, kernel, recurrent = np.ones((1, 2, 1)), np.ones((1, 4)), np.zeros((1, 4))
    >>> gates = lstm_gates(x, kernel, recurrent, np.zeros(4))
    >>> gradient = lstm_backward(np.array([[[0.0], [1.0]]]), x, gates, kernel, recurrent)
    >>> bool(np.isclose(gradient.cells[0, 0, 0], gates.forget[0, 1, 0] * gradient.cells[0, 1, 0]))
    True
    """
    _same_shape(gradient, gates.state)
    shown = np.tanh(gates.cell)
    before = _before(gates.cell, initial and initial[1])
    to_cell = gates.output * (1 - shown**2)  # ∂h_t / ∂c_t
    slope, bent = ACTIVATIONS["sigmoid"].derivative, ACTIVATIONS["tanh"].derivative
    factors = np.stack(  # of c_t, c_t, c_t and h_t, by what goes into each gate
        [
            gates.candidate * slope(gates.input),
            before * slope(gates.forget),
            gates.input * bent(gates.candidate),
            shown * slope(gates.output),
        ],
        axis=2,
    )
    states, cells = np.empty_like(shown), np.empty_like(shown)
    delta = np.empty_like(factors)
    later_state = later_cell = np.zeros_like(shown[:, 0])
    for t in reversed(range(x.shape[1])):
        states[:, t] = gradient[:, t] + later_state
        cells[:, t] = later_cell + states[:, t] * to_cell[:, t]
        delta[:, t, :3] = cells[:, t, None] * factors[:, t, :3]
        delta[:, t, 3] = states[:, t] * factors[:, t, 3]
        later_state = delta[:, t].reshape(len(x), -1) @ recurrent.T
        later_cell = cells[:, t] * gates.forget[:, t]
    delta = delta.reshape(*x.shape[:2], -1)
    return LSTMGradients(
        x=delta @ kernel.T,
        kernel=_outer(x, delta),
        recurrent=_outer(_before(gates.state, initial and initial[0]), delta),
        bias=delta.sum(axis=(0, 1)),
        initial=(later_state, later_cell),
        states=states,
        cells=cells,
    )


def gradient_norms(*gradients: np.ndarray) -> np.ndarray:
    """Return how long the gradient is at each time step.

    Parameters
    ----------
    *gradients : ndarray
        (batch, time, …) each. Several are taken for one vector, put end to end: for an LSTM, give
        ``states`` and ``cells``.

    Returns
    -------
    ndarray
        (batch, time), Euclidean lengths.

    Raises
    ------
    ValueError
        Without any gradient.

    Examples
    --------
    >>> gradient_norms(np.array([[[3.0], [0.0]]]), np.array([[[4.0], [1.0]]])).tolist()
    [[5.0, 1.0]]
    """
    if not gradients:
        raise ValueError("there is no gradient to measure; give at least one array")
    return np.sqrt(sum(np.square(each).sum(axis=tuple(range(2, each.ndim))) for each in gradients))


def _start(initial: np.ndarray | None, x: np.ndarray, units: int) -> np.ndarray:
    """Return the state before the first step: the given one, or zeros."""
    if initial is None:
        return np.zeros((len(x), units), x.dtype)
    if initial.shape != (len(x), units):
        raise ValueError(
            f"the initial state is {initial.shape}; {len(x)} sequences and {units} units need "
            f"({len(x)}, {units})"
        )
    return initial.astype(x.dtype, copy=False)


def _before(states: np.ndarray, initial: np.ndarray | None) -> np.ndarray:
    """Return h_0 … h_{T−1} from h_1 … h_T."""
    first = _start(initial, states, states.shape[2])
    return np.concatenate([first[:, None], states[:, :-1]], axis=1)


def _outer(inputs: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Sum inputsᵀ delta over batch and time: (…, a) and (…, b) give (a, b)."""
    return inputs.reshape(-1, inputs.shape[2]).T @ delta.reshape(-1, delta.shape[2])


def _same_shape(gradient: np.ndarray, states: np.ndarray) -> None:
    if gradient.shape != states.shape:
        raise ValueError(
            f"gradient is {gradient.shape} and the states are {states.shape}; give the gradient "
            "by every state, zeros where the loss does not see it"
        )


def _check(
    x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, gates: int
) -> None:
    """Say which shapes do not fit together."""
    units = len(recurrent)
    if x.ndim != 3 or not x.shape[1]:
        raise ValueError(f"x is {x.shape}; it must be (batch, time, features), time at least 1")
    wanted = {
        "kernel": (kernel.shape, (x.shape[2], gates * units)),
        "recurrent": (recurrent.shape, (units, gates * units)),
        "bias": (bias.shape, (gates * units,)),
    }
    for name, (found, right) in wanted.items():
        if found != right:
            raise ValueError(
                f"{name} is {found}; {x.shape[2]} features and {units} units need {right}"
            )
