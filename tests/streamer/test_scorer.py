"""The thread that scores."""

from __future__ import annotations

from threadpoolctl import threadpool_info

from streamer.scorer import scoring_thread


def test_the_libraries_of_the_scoring_thread_start_no_threads_of_their_own() -> None:
    import faiss  # noqa: F401 - brings OpenMP

    with scoring_thread() as thread:
        libraries = thread.submit(threadpool_info).result()
    assert "openmp" in {library["user_api"] for library in libraries}
    assert {library["num_threads"] for library in libraries} == {1}
