"""Reading constants and weights out of an ONNX graph by following its edges, not its node names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from host.errors import PeelVitError

if TYPE_CHECKING:
    import onnx


class OnnxGraph:
    """An ONNX graph with its initializers as numpy arrays."""

    def __init__(self, path: Path) -> None:
        """Raises PeelVitError when the onnx package is missing or the file cannot be read."""
        try:
            import onnx
        except ImportError:
            raise PeelVitError("reading ONNX weights needs the onnx package; run `pip install onnx`") from None
        self._onnx = onnx
        self.path = path
        try:
            graph = onnx.load(path).graph
        except Exception as error:  # protobuf's own exceptions have no common public base
            raise PeelVitError(f"{path} is not a readable ONNX file ({error}); fetch or export it again") from None
        self.inputs = list(graph.input)
        self.weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._producer = {output: node for node in graph.node for output in node.output}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)

    def input_shape(self) -> list[int]:
        """Shape of the first input; dimensions without a fixed size are 0."""
        return [dimension.dim_value for dimension in self.inputs[0].type.tensor_type.shape.dim]

    def find(self, ending: str) -> str:
        """The name of the only weight that is `ending` or ends with `.ending`."""
        names = [name for name in self.weights if f".{name}".endswith(f".{ending}")]
        if len(names) != 1:
            raise self.unsupported(f"it has {len(names)} weights named {ending}")
        return names[0]

    def weight(self, ending: str) -> np.ndarray:
        """The only weight named `ending` (see `find`)."""
        return self.weights[self.find(ending)]

    def consumer(self, name: str, op_type: str) -> onnx.NodeProto:
        """The first node of type `op_type` that reads tensor `name`."""
        for node in self._consumers.get(name, []):
            if node.op_type == op_type:
                return node
        raise self.unsupported(f"no {op_type} reads {name}")

    def linear(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weight [out, in] and bias [out] of the linear layer `name`.

        Exporters fold the transposed weight into an unnamed constant, so it is found by way of the named bias.
        """
        bias = self.find(f"{name}.bias")
        product = self._other_input(self.consumer(bias, "Add"), bias)
        node = self._producer.get(product)
        weights = [self.weights[source] for source in node.input if source in self.weights] if node else []
        if node is None or node.op_type != "MatMul" or len(weights) != 1:
            raise self.unsupported(f"{name} is not a product with a stored weight")
        return weights[0].T.copy(), self.weights[bias]

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a Constant node's output, None when something else produces it."""
        node = self._producer.get(name)
        if node is None or node.op_type != "Constant":
            return None
        return self._onnx.numpy_helper.to_array(node.attribute[0].t)

    def producer(self, name: str) -> onnx.NodeProto:
        """The node that makes tensor `name`."""
        if name not in self._producer:
            raise self.unsupported(f"nothing produces {name}")
        return self._producer[name]

    def attributes(self, node: onnx.NodeProto) -> dict[str, object]:
        """A node's attributes as Python values."""
        return {item.name: self._onnx.helper.get_attribute_value(item) for item in node.attribute}

    def first_of_type(self, op_type: str) -> onnx.NodeProto | None:
        """The first node of type `op_type` in execution order."""
        return next((node for node in self._producer.values() if node.op_type == op_type), None)

    def unsupported(self, reason: str) -> PeelVitError:
        """The error for a graph that is not the layout being looked for."""
        return PeelVitError(
            f"{self.path} is not a ViT in DINOv2's ONNX layout: {reason}; bring a timm state dict instead"
        )

    def _other_input(self, node: onnx.NodeProto, name: str) -> str:
        return next(source for source in node.input if source != name)
