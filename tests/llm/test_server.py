from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field

from pedcorpus.llm.prompts import data
from tests.llm.replies import reply_content, sentences_of
from tests.llm.server import KINDS, BatchScript, Script, Server, Stats, read_stats, request_key, running_server

TEXT = (
    "小儿肺炎的治疗\n小儿肺炎以发热、咳嗽、气促为主要表现。轻症可在门诊口服阿莫西林治疗。出现呼吸困难者应住院。"
    "本病多由细菌或病毒引起。"
)


class Answered(BaseModel):
    question: str
    source_says: bool
    answer: str = Field(max_length=200)
    quotes: list[str]


class Turn(BaseModel):
    speaker: Literal["patient", "doctor"]
    kind: Literal["complaint", "ask", "reply", "conclude"]
    text: str
    quote: str | None


class Case(BaseModel):
    turns: list[Turn] = Field(min_length=4, max_length=8)
    score: int = Field(ge=1, le=5)


def request(number: int = 0, model: type[BaseModel] | None = Answered, **more: Any) -> dict[str, Any]:
    content = f"第 {number} 问。\n{data(TEXT, 'source')}"
    body: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": content}], "max_tokens": 2000}
    if model:
        schema = {"name": model.__name__, "strict": True, "schema": model.model_json_schema()}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body | more


Call = Callable[[AsyncOpenAI], Awaitable[Any]]


def asked(server: Server, call: Call, *, key: str = "sk-test", timeout: float = 5) -> Any:
    async def run() -> Any:
        http = openai.DefaultAsyncHttpxClient(verify=False)  # no certificates to load: quicker
        async with AsyncOpenAI(
            base_url=server.base_url, api_key=key, max_retries=0, timeout=timeout, http_client=http
        ) as client:
            return await call(client)

    return asyncio.run(run())


def ask(server: Server, body: dict[str, Any], *, key: str = "sk-test", timeout: float = 5) -> ChatCompletion:
    reply = asked(server, lambda client: client.chat.completions.create(**body), key=key, timeout=timeout)
    assert isinstance(reply, ChatCompletion)
    return reply


def faulty(kind: str, **more: Any) -> Script:
    return Script(rate=1, weights={kind: 1}, price_input="1", price_output="2", **more)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(Script(price_input="0.15", price_output="0.6"), tmp_path_factory.mktemp("good")) as server:
        yield server


def test_good_replies_fit_the_schema_and_are_grounded(good: Server) -> None:
    good.reset()
    body = request()
    first, second = ask(good, body), ask(good, body)
    content = first.choices[0].message.content
    assert content is not None and content == second.choices[0].message.content
    read = Answered.model_validate_json(content, strict=True)
    assert read.source_says and read.quotes and all(quote in TEXT for quote in read.quotes)
    assert read.answer in TEXT and "小儿肺炎" in read.question
    assert first.usage is not None
    assert first.usage.prompt_tokens == len(body["messages"][0]["content"].encode()) // 3
    assert first.usage.completion_tokens == len(content.encode()) // 3
    stats = good.stats()
    key = request_key(body)
    assert (stats.received, stats.answered, stats.ok, stats.in_flight, stats.max_in_flight) == (2, 2, 2, 0, 1)
    assert stats.repeated == stats.repeated_ok == stats.answered_keys == {key: 2}
    prompt, completion = 2 * first.usage.prompt_tokens, 2 * first.usage.completion_tokens
    cost = (prompt * Decimal("0.15") + completion * Decimal("0.6")) / 1_000_000
    assert stats.cost == stats.keys[key].cost == cost
    assert stats.billed_tokens == stats.keys[key].billed_tokens == prompt + completion
    assert (ask(good, request(model=None)).choices[0].message.content or "?") in TEXT


def test_a_case_is_a_talk_of_two() -> None:
    case = Case.model_validate_json(reply_content(request(model=Case)), strict=True)
    spoken = [(turn.speaker, turn.kind) for turn in case.turns]
    assert spoken[0] == ("patient", "complaint") and spoken[-1] == ("doctor", "conclude")
    assert spoken[1:3] == [("doctor", "ask"), ("patient", "reply")]
    assert case.turns[1].text.endswith("？") and 1 <= case.score <= 5


def test_turns_as_a_union_of_models() -> None:
    class Ask(BaseModel):
        kind: Literal["ask"]
        text: str

    class Other(BaseModel):
        kind: Literal["complaint", "reply", "conclude"]
        text: str
        quote: str

    class Talk(BaseModel):
        turns: tuple[Ask | Other, ...]

    read = Talk.model_validate_json(reply_content(request(model=Talk)), strict=True)
    assert [turn.kind for turn in read.turns] == ["complaint", "ask", "reply", "ask", "reply", "conclude"]


def test_schemas_are_walked() -> None:
    class Part(BaseModel):
        parts: list[Part]
        name: str

    class Odd(BaseModel):
        part: Part
        pick: Literal["a", "b"]
        fixed: Literal[3]
        ratio: float = Field(gt=0, lt=1)
        count: int = Field(ge=7, le=7)
        maybe: int | None
        pair: tuple[str, int]
        long: str = Field(min_length=300, max_length=310)
        quote: str = Field(max_length=5)
        contradicts: bool
        keep: bool

    read = Odd.model_validate_json(reply_content(request(model=Odd)))
    assert read.keep and not read.contradicts and read.quote in TEXT


def test_a_share_says_that_the_source_does_not_say() -> None:
    read = [Answered.model_validate_json(reply_content(request(number), absent=0.5)) for number in range(60)]
    absent = [one for one in read if not one.source_says]
    assert 15 < len(absent) < 45 and not any(one.quotes or one.answer for one in absent)


def test_doses_are_word_for_word_and_gaps_are_empty() -> None:
    class Dose(BaseModel):
        drug: str
        amount: str
        quotes: list[str]

    class Point(BaseModel):
        point: str
        quote: str

    class Advice(BaseModel):
        treatment: list[Point]
        doses: list[Dose]
        seek_care: list[Point]
        problems: list[str]

    body = request(model=Advice)
    assert not Advice.model_validate_json(reply_content(body)).doses
    said = "布洛芬每次5~10mg/kg口服。"
    blocks = f"{data([{'a': '肺炎由蛇引起。'}], '示范')}\n{data(TEXT + said, '资料')}\n{data(TEXT * 9, '问题')}"
    body["messages"][0]["content"] = blocks
    read = Advice.model_validate_json(reply_content(body))
    assert [(dose.drug, dose.quotes) for dose in read.doses] == [("布洛芬", [said])]
    assert read.doses[0].amount in said and "mg/kg" in read.doses[0].amount and not read.problems
    points = [point.quote for point in (*read.treatment, *read.seek_care)]
    assert len(set(points)) == len(points) > 0


def test_the_doctors_turns_one_for_one() -> None:
    class Turns(BaseModel):
        turns: list[str] = Field(min_length=1)

    body = request(model=Turns)
    talk = [{"role": "user", "text": "发烧了。"}, {"role": "assistant", "text": "多喝水。"}]
    body["messages"][0]["content"] = f"{data([], '示范')}\n{data(talk * 2, '对话')}"
    assert json.loads(reply_content(body)) == {"turns": ["多喝水。", "多喝水。"]}


def test_english_sentences() -> None:
    assert sentences_of("# Fever\nGive 1.5 ml of it. Then wait! Is it over? Yes, it is.") == [
        "Give 1.5 ml of it.", "Then wait!", "Is it over?", "Yes, it is.",
    ]  # fmt: skip


REFUSALS: dict[str, tuple[type[openai.APIStatusError], dict[str, str]]] = {
    "429": (openai.RateLimitError, {"retry-after": "0.05"}),
    "429_ms": (openai.RateLimitError, {"retry-after-ms": "50"}),
    "429_date": (openai.RateLimitError, {"retry-after": "GMT"}),
    "429_bare": (openai.RateLimitError, {}),
    "500": (openai.InternalServerError, {}),
    "503": (openai.InternalServerError, {"retry-after": "0.05"}),
    "503_bare": (openai.InternalServerError, {}),
    "bad_request": (openai.BadRequestError, {}),
    "content_filter_400": (openai.BadRequestError, {}),
    "not_json": (openai.InternalServerError, {}),
}


def check_refusals(server: Server, kind: str) -> None:
    kind_of_error, headers = REFUSALS[kind]
    with pytest.raises(kind_of_error) as caught:
        ask(server, request())
    sent = caught.value.response.headers
    for name in ("retry-after", "retry-after-ms"):
        assert (name in sent) == (name in headers) and headers.get(name, "") in sent.get(name, "")
    if kind == "content_filter_400":
        assert caught.value.code == "content_filter"
    stats = server.stats()
    assert stats.faulted == {kind: 1} and (stats.answered, stats.maybe_billed, stats.billed_tokens) == (0, 0, 0)


def check_broken(server: Server, kind: str) -> None:
    error = openai.APITimeoutError if kind == "hang" else openai.APIConnectionError
    with pytest.raises(error):
        ask(server, request(), timeout=0.5 if kind == "hang" else 5)
    stats = wait_for(server, lambda stats: stats.in_flight == 0)
    assert stats.faulted == {kind: 1} and (stats.answered, stats.maybe_billed, stats.gone) == (0, 1, 0)
    assert stats.maybe_cost > 0 and stats.cost == 0


def check_spoilt(server: Server, kind: str) -> None:
    reply = ask(server, request())
    choice = reply.choices[0]
    content = choice.message.content
    assert choice.finish_reason == (kind if kind in ("length", "content_filter") else "stop")
    assert (choice.message.refusal is not None and content is None) == (kind == "refusal")
    if kind == "empty":
        assert content == ""
    elif kind == "wrong_schema":
        assert content and not set(json.loads(content)) & set(Answered.model_fields)
    elif content is not None:
        with pytest.raises(json.JSONDecodeError):
            json.loads(content)
    stats = server.stats()
    assert stats.faulted == {kind: 1} and (stats.answered, stats.ok, stats.maybe_billed) == (1, 0, 0)
    assert stats.cost > 0 and not stats.answered_ok_keys and list(stats.answered_keys.values()) == [1]


def check_sound(server: Server, kind: str) -> None:
    begun = time.monotonic()
    reply = ask(server, request())
    assert Answered.model_validate_json(reply.choices[0].message.content or "")
    assert (reply.usage is None) == (kind == "no_usage")
    assert time.monotonic() - begun > 0.35 or kind != "slow_drip"
    assert (server.stats().answered, server.stats().ok) == (1, 1)


def wait_for(server: Server, met: Callable[[Stats], bool]) -> Stats:
    until = time.monotonic() + 30  # a busy machine starts processes slowly
    while time.monotonic() < until:
        if met(stats := server.stats()):
            return stats
        time.sleep(0.02)
    raise AssertionError(f"never so: {server.stats()}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "not_json_200"])
def test_each_fault_shows_up(kind: str, tmp_path: Path) -> None:
    with running_server(faulty(kind, max_faults_per_request=1), tmp_path) as server:
        if kind in REFUSALS:
            check_refusals(server, kind)
        elif kind in ("hang", "drop", "drop_reset", "cut_body"):
            check_broken(server, kind)
        elif kind in ("slow_drip", "no_usage"):
            check_sound(server, kind)
        else:
            check_spoilt(server, kind)
        if kind not in ("slow_drip", "no_usage"):
            ask(server, request())  # the second try is let through
        assert server.stats().ok == 1


def test_a_page_with_status_200(tmp_path: Path) -> None:
    with running_server(faulty("not_json_200"), tmp_path) as server:
        reply = asked(server, lambda client: client.chat.completions.create(**request()))
        assert not isinstance(reply, ChatCompletion)  # the client hands the page on as it is
        assert (server.stats().answered, server.stats().faulted) == (0, {"not_json_200": 1})


def test_faults_hang_on_seed_and_request_alone(tmp_path: Path) -> None:
    kinds = ("429", "500", "refusal", "length")
    script = Script(seed=3, rate=0.6, weights=dict.fromkeys(kinds, 1), max_faults_per_request=2)

    async def all_of(client: AsyncOpenAI, order: list[int]) -> None:
        async def until_good(number: int) -> None:
            for _ in range(3):  # never more than two faults in a row
                try:
                    reply = await client.chat.completions.create(**request(number))
                except openai.APIStatusError:
                    continue
                if reply.choices[0].finish_reason == "stop" and not reply.choices[0].message.refusal:
                    return
            raise AssertionError("three faults in a row")

        await asyncio.gather(*map(until_good, order))

    with running_server(script, tmp_path) as server:
        asked(server, lambda client: all_of(client, list(range(30))))
        first = server.stats()
        server.reset()
        assert server.stats().keys == {}
        asked(server, lambda client: all_of(client, list(range(30))[::-1]))
        second = server.stats()
    assert first.keys == second.keys and set(first.faulted) == set(kinds) and first.ok == 30
    assert not first.repeated_ok and first.cost == 0


def test_whole_server_modes(tmp_path: Path) -> None:
    with running_server(Script(modes=("no_model",), api_key="sk-right"), tmp_path / "a") as server:
        with pytest.raises(openai.AuthenticationError):
            ask(server, request(), key="sk-wrong")
        with pytest.raises(openai.NotFoundError) as missing:
            ask(server, request(), key="sk-right")
        assert missing.value.code == "model_not_found"
        assert server.stats().faulted == {"auth": 1, "no_model": 1}
        kept = b"".join(path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file())
        assert b"sk-" not in kept and b"Bearer" not in kept
    with running_server(Script(modes=("quota",)), tmp_path / "b") as server:
        with pytest.raises(openai.RateLimitError) as poor:
            ask(server, request())
        assert poor.value.code == "insufficient_quota" and "retry-after" not in poor.value.response.headers
    with running_server(Script(modes=("max_completion_tokens",)), tmp_path / "c") as server:
        with pytest.raises(openai.BadRequestError, match="max_completion_tokens") as unknown:
            ask(server, request())
        assert (unknown.value.code, unknown.value.param) == ("unsupported_parameter", "max_tokens")
        body = request(max_completion_tokens=10)
        del body["max_tokens"]
        short = ask(server, body)  # a cap holds
        assert short.choices[0].finish_reason == "length" and short.usage and short.usage.completion_tokens <= 10
        models = asked(server, lambda client: client.models.list())
        assert [model.id for model in models.data] == ["scripted"]


async def burst(client: AsyncOpenAI, count: int) -> list[Any]:
    calls = [client.chat.completions.create(**request(number)) for number in range(count)]
    return await asyncio.gather(*calls, return_exceptions=True)


def test_limits(tmp_path: Path) -> None:
    with running_server(Script(max_concurrent=5, delay=(0.6, 0.6)), tmp_path / "a") as server:
        replies = asked(server, lambda client: burst(client, 12))
        refused = [reply for reply in replies if isinstance(reply, openai.RateLimitError)]
        assert len(refused) == 7 and all(float(one.response.headers["retry-after"]) == 0.05 for one in refused)
        stats = server.stats()
        assert (stats.max_in_flight, stats.answered, stats.faulted) == (5, 5, {"limited": 7})
    with running_server(Script(per_second=4), tmp_path / "b") as server:
        replies = asked(server, lambda client: burst(client, 10))
        refused = [reply for reply in replies if isinstance(reply, openai.RateLimitError)]
        assert 1 <= len(refused) <= 6 and all(0 < float(one.response.headers["retry-after"]) <= 1 for one in refused)


def test_delays_differ_and_replies_overlap(tmp_path: Path) -> None:
    with running_server(Script(delay=(0.05, 0.3)), tmp_path) as server:
        begun = time.monotonic()
        asked(server, lambda client: burst(client, 30))
        assert time.monotonic() - begun > 0.2
        assert server.stats().max_in_flight > 5


CLIENT = """
import asyncio, json, sys
from openai import AsyncOpenAI
bodies = json.load(sys.stdin)
async def run():
    async with AsyncOpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0) as client:
        await asyncio.gather(*(client.chat.completions.create(**body) for body in bodies))
asyncio.run(run())
"""


def test_the_server_outlives_a_killed_client_and_its_own_end(tmp_path: Path) -> None:
    with running_server(Script(delay=(120, 120), price_input="1"), tmp_path) as server:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, server.base_url], stdin=subprocess.PIPE)
        assert client.stdin is not None
        client.stdin.write(json.dumps([request(number) for number in range(8)]).encode())
        client.stdin.close()
        try:
            wait_for(server, lambda stats: stats.in_flight == 8)
        finally:
            client.kill()
            client.wait()
        stats = wait_for(server, lambda stats: stats.in_flight == 0)
        assert (stats.received, stats.answered, stats.gone, stats.maybe_billed) == (8, 0, 8, 8)
        assert stats.maybe_cost > 0 and stats.cost == 0
        os.kill(server.pid, signal.SIGKILL)
    assert read_stats(tmp_path).keys == stats.keys
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event":"rec')  # half a line
    with running_server(Script(), tmp_path) as server:
        ask(server, request())
        again = server.stats()
        assert (again.received, again.answered, again.gone) == (9, 1, 8)
    assert read_stats(tmp_path).received == 9
    assert "sk-" not in (tmp_path / "events.jsonl").read_text()


def upload(client: OpenAI, bodies: list[dict[str, Any]]) -> str:
    lines = [
        {"custom_id": f"row-{place}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for place, body in enumerate(bodies)
    ]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    file = client.files.create(file=("batch.jsonl", io.BytesIO(content)), purpose="batch")
    assert client.files.content(file.id).read() == content and file.bytes == len(content)
    return file.id


def start(client: OpenAI, file: str) -> openai.types.Batch:
    return client.batches.create(
        input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", metadata={"build": "x"}
    )


def lines_of(client: OpenAI, file: str | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.files.content(file).text.splitlines()] if file else []


def test_a_batch_goes_round(tmp_path: Path) -> None:
    batches = BatchScript(polls=4, error_share=0.3, price_share="0.5")
    script = Script(batch=batches, price_input="1", price_output="1", api_key="sk-right")
    with (
        running_server(script, tmp_path) as server,
        OpenAI(base_url=server.base_url, api_key="sk-right", max_retries=0) as client,
    ):
        bodies = [request(number) for number in range(40)]
        batch = start(client, upload(client, bodies))
        assert batch.status == "validating" and batch.metadata == {"build": "x"}
        seen = []
        while batch.status != "completed":
            batch = client.batches.retrieve(batch.id)
            seen.append(batch.status)
        assert seen == ["validating", "in_progress", "finalizing", "completed"]
        done, failed = lines_of(client, batch.output_file_id), lines_of(client, batch.error_file_id)
        names = [line["custom_id"] for line in done]
        assert sorted(names + [line["custom_id"] for line in failed]) == sorted(f"row-{n}" for n in range(40))
        assert names != sorted(names, key=lambda name: int(name[4:]))  # shuffled
        assert batch.request_counts and batch.request_counts.completed == len(done) > 15 and failed
        for line in done:
            reply = ChatCompletion.model_validate(line["response"]["body"])
            assert line["error"] is None and line["response"]["status_code"] == 200
            assert Answered.model_validate_json(reply.choices[0].message.content or "")
        assert {line["response"] is None for line in failed} == {True, False}
        stats = server.stats()
        assert (stats.received, stats.answered, stats.batches) == (40, len(done), 1)
        assert stats.faulted == {"batch_error": len(failed)} and not stats.repeated
        assert stats.cost == Decimal(stats.billed_tokens) / 2_000_000
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve("batch_none")


def test_batches_fail_expire_and_are_listed(tmp_path: Path) -> None:
    batches = BatchScript(outcomes=("failed", "expired", "completed"), delay=0.05)
    with (
        running_server(Script(batch=batches, rate=0.5, weights={"refusal": 1, "500": 1}), tmp_path) as server,
        OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client,
    ):
        file = upload(client, [request(number) for number in range(20)])
        made = [start(client, file) for _ in range(4)]
        wrong = start(client, upload(client, [request(), {"no": "chat"}]))
        time.sleep(0.1)
        failed, expired, done, _ = (client.batches.retrieve(batch.id) for batch in made)
        assert failed.status == "failed" and failed.errors and failed.errors.data
        assert failed.errors.data[0].code == "token_limit_exceeded" and failed.output_file_id is None
        late = lines_of(client, expired.error_file_id)
        assert expired.status == "expired" and lines_of(client, expired.output_file_id)
        assert "batch_expired" in {line["error"]["code"] for line in late if line["error"]}
        assert done.status == "completed"
        assert {line["response"]["status_code"] for line in lines_of(client, done.error_file_id)} == {500}
        refusals = [line["response"]["body"]["choices"][0]["message"] for line in lines_of(client, done.output_file_id)]
        assert {message["refusal"] is None for message in refusals} == {True, False}
        wrong = client.batches.retrieve(wrong.id)
        assert wrong.errors and wrong.errors.data and wrong.errors.data[0].line == 2
        listed = [batch.id for batch in client.batches.list(limit=2)]  # turns the pages
        assert listed == [batch.id for batch in (wrong, *reversed(made))]


def test_a_batch_whose_creation_got_no_answer_can_be_found(tmp_path: Path) -> None:
    with (
        running_server(Script(batch=BatchScript(lost_creates=1, stumble_every=4)), tmp_path) as server,
        OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client,
    ):
        file = upload(client, [request()])
        with pytest.raises(openai.APIConnectionError):
            start(client, file)
        with pytest.raises(openai.InternalServerError):
            client.batches.list()
        assert [batch.input_file_id for batch in client.batches.list()] == [file]


def test_a_script_survives_json_and_refuses_what_it_does_not_know() -> None:
    script = Script(weights={"429": 1.0}, delay=(0.1, 0.2), modes=("quota",), batch=BatchScript(outcomes=("expired",)))
    assert Script.from_json(script.to_json()) == script
    with pytest.raises(ValueError, match="428"):
        Script(weights={"428": 1.0})
