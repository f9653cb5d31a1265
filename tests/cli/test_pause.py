"""``hooktui pause`` and ``hooktui resume``, with a real server behind them."""

from tests.support.receivers import receiving
from tests.support.running_server import running_server


# Red when a command does not reach the engine: the receiver gets the event meanwhile, or never.
def test_a_pause_holds_until_the_resume(run, tmp_path):
    with running_server(tmp_path) as server, receiving() as receiver:
        connect = ("--connect", f"unix:{server.paths.socket}")
        run(*connect, "hooks", "create", "--url", receiver.url, "--events", "job")
        paused = run(*connect, "pause")
        assert (paused.code, paused.out.partition(", by ")[0]) == (0, "delivery is paused")
        assert "resume with: hooktui resume" in paused.err
        assert run(*connect, "emit", "job.failed", stdin=b"{}").code == 0
        told = run(*connect, "status").out
        assert "paused     by " in told
        assert "waiting    1 delivery" in told
        assert receiver.requests == []
        assert run(*connect, "pause", "--json").json["paused"]["by"]
        assert "resume it with: hooktui resume" in run(*connect, "doctor").out

        resumed = run(*connect, "resume")
        assert (resumed.code, resumed.out) == (0, "delivery resumed\n")
        receiver.wait_for(1)
        assert run(*connect, "resume", "--json").json == {"paused": None}
        assert "paused" not in run(*connect, "status").out


def test_a_viewer_may_not_pause(run, tmp_path):
    with running_server(tmp_path) as server:
        connect = ("--connect", f"unix:{server.paths.socket}")
        refused = run(*connect, "--role", "viewer", "pause")
        assert (refused.code, refused.out) == (4, "")
        assert "needs the role operator or admin" in refused.err
        assert "paused" not in run(*connect, "status").out
