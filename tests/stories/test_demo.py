"""The demo as a process: what it serves, what it leaves behind, and that nothing secret gets out of it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import requests
from storykit import PATIENCE_S, ROOT, Demo, Person, Tenant, free_ports, wait_until

LOGIN, TOKEN = "/login/jwt-session", "/oauth/token"


def test_every_stage_of_the_walk_through(demo: Demo) -> None:
    erin, carol = demo.person("erin"), demo.person("carol")
    assert erin.move("acme", "legacy").ok
    assert carol.sign_out().status_code == 303  # which ends any token that she has
    assert carol.sign_in("carol").status_code == 303
    assert carol.get("/t/acme/token").ok  # a page may log in with it now, so the tenant's groups are not known
    for stage in ("shadow", "rollout", "oauth"):
        assert erin.move("acme", stage, percent=100).ok
    demo.acme.forget_calls()

    token = carol.access_token("acme")

    assert demo.acme.me(token.text)["subject"] == "carol"
    assert demo.acme.calls(LOGIN, TOKEN) == [LOGIN, TOKEN]
    assert erin.move("acme", "retired", force=True).ok  # nobody waits for two quiet weeks here
    assert carol.get("/t/acme/token").status_code == 410
    assert erin.move("acme", "legacy").ok
    assert carol.access_token("acme").status_code == 409


def test_a_move_by_command_line_reaches_the_running_bridge(demo: Demo) -> None:
    erin = demo.person("erin")
    assert erin.move("acme", "legacy").ok

    command = f". {demo.home}/env && {sys.executable} -m bridge.cli stage move acme shadow --reason story"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    wait_until(lambda: erin.session("acme")["stage"] == "shadow", demo.process, "the move")
    newest = erin.get("/api/v1/audit").json()["events"][0]
    assert newest["actor"].startswith("cli:")


def test_a_visit_to_127_0_0_1_is_sent_on_and_other_hosts_are_refused(demo: Demo) -> None:
    port = demo.base.rsplit(":", 1)[1]
    sent_on = requests.get(f"http://127.0.0.1:{port}/login", allow_redirects=False, timeout=10)
    rebound = requests.get(f"{demo.base}/login", headers={"Host": f"evil.example:{port}"}, timeout=10)

    assert sent_on.headers["Location"] == f"{demo.base}/login"
    assert rebound.status_code == 400


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    ports = free_ports(3)
    names = ("DEMO_PORT", "DEMO_ACME_PORT", "DEMO_GLOBEX_PORT")
    environment = {**os.environ, **{name: str(port) for name, port in zip(names, ports, strict=True)}}
    log = tmp_path / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", "demo"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    wait_until(lambda: b"Ctrl-C stops everything" in log.read_bytes(), process, "demo")
    children = set(descendants(process.pid))

    process.send_signal(signal.SIGINT)

    assert process.wait(PATIENCE_S) == 0, log.read_text()
    assert len(children) >= 4
    assert {pid for pid in children if Path(f"/proc/{pid}").exists()} == set()
    assert [port for port in ports if is_taken(port)] == []


def test_a_taken_port_is_named(demo: Demo) -> None:
    port = demo.base.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "demo"],
        cwd=ROOT,
        env={**os.environ, "DEMO_PORT": port},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 2
    assert f"port {port} is taken; set DEMO_PORT" in done.stderr


def descendants(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from descendants(int(child))


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_no_output_holds_a_credential(demo: Demo) -> None:
    """Do everything that handles credentials, harvest them at their sources, and look for them in all output."""
    seen = everything_that_handles_credentials(demo)
    for tenant in (demo.acme, demo.globex):
        seen |= harvested(tenant)
    metrics = requests.get(f"{demo.base}/metrics", timeout=10).text
    database = b"".join(file.read_bytes() for file in demo.home.glob("bridge.db*"))
    log = demo.log.read_bytes()
    outputs = {
        "log": log,
        "metrics": metrics.encode(),
        "errors": "\n".join(text for person in demo.people for text in person.heard).encode(),
        "database": database,
    }

    assert len(seen) > 20
    assert b'"event":"request"' in log, "the log was switched on, else this shows nothing"
    for name, output in outputs.items():
        assert output, f"{name} is empty"
        assert b"eyJ" not in output, name
        assert [secret[:6] for secret in seen if secret.encode() in output] == [], name


def everything_that_handles_credentials(demo: Demo) -> set[str]:
    erin, alice, bob = (demo.person(name) for name in ("erin", "alice", "bob"))
    assert erin.move("acme", "legacy").ok
    seen = {alice.get("/t/acme/token").json()["token"], alice.get("/t/globex/token").json()["token"]}
    for stage in ("shadow", "rollout", "oauth"):
        assert erin.move("acme", stage, percent=100).ok
    first = alice.access_token("acme")
    seen |= {first.text, alice.session("acme")["csrf"]}
    seen |= {cookie.value or "" for person in (erin, alice, bob) for cookie in person.http.cookies}
    refusals(demo, alice, bob, first.text)
    demo.acme.control("POST", "tokens/expire")
    seen.add(alice.access_token("acme", **{"X-Rejected-Token": first.headers["Token-Id"]}).text)
    alice.post("/logout", data={"csrf_token": alice.csrf("acme")})
    assert erin.move("acme", "legacy").ok
    return {value for value in seen if len(value) > 8}


def refusals(demo: Demo, alice: Person, bob: Person, token: str) -> None:
    """Make every layer fail with a credential in its hands."""
    for status in (401, 403, 500):
        demo.acme.control("POST", "faults", {"endpoint": LOGIN, "status": status, "times": 2})
        bob.access_token("acme")
        demo.acme.control("DELETE", "faults")
    demo.acme.control("POST", "faults", {"endpoint": TOKEN, "status": 200, "body": token, "times": 2})
    bob.access_token("acme")
    demo.acme.control("DELETE", "faults")
    for bearer in (token, "qbs_" + "x" * 43, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."):
        demo.person().post("/t/acme/access-token", headers={"Authorization": f"Bearer {bearer}"})
    demo.person().get(f"/t/acme/nothing/{token}", params={"token": token})
    alice.post("/t/acme/access-token", headers={"CSRF-Token": token, "X-Rejected-Token": token, "X-Request-Id": token})


def harvested(tenant: Tenant) -> set[str]:
    state = tenant.state()
    found = {client["client_secret"] for client in state["clients"]}
    found |= {
        line for each in state["identity_providers"] for line in each["private_key"].splitlines() if "--" not in line
    }
    found |= {value for each in state["sessions"] for value in (each["cookie"], each["csrf_token"])}
    found |= {each["token"] for each in state["tokens"]}
    return {value for value in found if re.fullmatch(r"\S{8,}", value or "")}
