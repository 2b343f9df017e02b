"""Knowledge graphs: triples and disease records into one graph, and its diseases into raw records.

All files of a source make one `networkx.MultiDiGraph` (node: name, edge key: relation), so that the parts
of a graph that lie in several files meet. A record is one disease with the statements it heads.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pedcorpus.deidentify import looks_like_names
from pedcorpus.extractors.rows import ROW_SUFFIXES, Item, csv_header, is_json, read_rows
from pedcorpus.records import RawRecord, Reject, Triple
from pedcorpus.sources import SourceFile, SourceInfo

if TYPE_CHECKING:
    import networkx as nx

RELATIONS: dict[str, tuple[str, ...]] = {
    "分类": ("category", "分类", "疾病分类"),
    "简介": ("desc", "description", "简介", "疾病简介", "概述", "定义"),
    "科室": ("cure_department", "department", "所属科室", "就诊科室", "科室", "belongs_to"),
    "易感人群": ("easy_get", "易感人群", "多发人群", "好发人群", "高发人群", "多发群体"),
    "病因": ("cause", "病因", "发病原因"),
    "传播方式": ("get_way", "传播方式", "传播途径", "传染性"),
    "症状": ("symptom", "symptoms", "has_symptom", "has_symptoms", "症状", "临床症状", "临床表现", "相关症状"),
    "检查": ("check", "checks", "need_check", "检查", "诊断检查", "辅助检查", "实验室检查", "影像学检查"),
    "并发症": ("acompany", "accompany", "acompany_with", "并发症", "相关并发症", "合并症"),
    "治疗方式": ("cure_way", "治疗方法", "治疗方式", "治疗", "treatment"),
    "常用药物": ("common_drug", "常用药品", "常用药物", "药物治疗", "推荐药物", "recommand_drug", "recommend_drug", "好评药品", "推荐药品", "用药"),
    "预防": ("prevent", "prevention", "预防", "预防措施"),
    "宜吃": ("do_eat", "宜吃", "宜食"),
    "忌吃": ("not_eat", "no_eat", "忌吃", "忌食"),
    "推荐食谱": ("recommand_eat", "recommend_eat", "推荐食谱"),
    "治疗周期": ("cure_lasttime", "治疗周期"),
    "治愈率": ("cured_prob", "治愈率", "治愈概率"),
    "患病率": ("get_prob", "患病率", "发病率", "患病比例"),
}  # fmt: skip
"""Our name of a relation, and the names of fields and relations that mean it."""

_CANONICAL = {alias: name for name, aliases in RELATIONS.items() for alias in aliases}
_LISTS = frozenset({"分类", "科室", "症状", "检查", "并发症", "治疗方式", "常用药物", "宜吃", "忌吃", "推荐食谱"})
_NO_NAMES = frozenset({"症状", "检查", "并发症", "治疗方式", "常用药物"})
_HEADS = ("head", "subject", "start", "头实体", "实体1", "source", "h", "start_entity_name", "主体")
_RELS = ("relation", "predicate", "rel", "关系", "r", "rel_name", "property", "属性")
_TAILS = ("tail", "object", "end", "尾实体", "实体2", "target", "t", "end_entity_name", "客体", "value")
_SPLIT = re.compile(r"([（(\[【])|([）)\]】])|(?<=\d),(?=\d)|([、，,;；|])")
"""Brackets, a comma within a number, and what parts the items of a list."""
_DISEASE_LABELS = frozenset({"disease", "疾病"})


def units(files: Sequence[SourceFile], source: SourceInfo) -> list[list[SourceFile]]:
    """All files together: they are one graph."""
    return [list(files)]


def extract(files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
    """Raw records of the graph's diseases, in the order in which they first appear."""
    import networkx as nx

    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for file in files:
        yield from _read(graph, file, source)
    diseases = [node for node in graph if _is_disease(graph, node)]
    document = source.document(None)
    for disease in diseases:
        triples, rejects = _neighbourhood(graph, disease, source)
        yield from rejects
        if triples:
            departments = [triple.tail for triple in triples if triple.relation == "科室"]
            yield source.graph_node(
                document,
                disease,
                triples,
                extractor="knowledge_graph",
                department=departments[-1] if departments else None,
            )
        else:
            yield source.reject("extract.no_text", None, f"{disease}: nothing is said of this disease")
    yield from _unattached(graph, diseases, source)


def _read(graph: nx.MultiDiGraph[str], file: SourceFile, source: SourceInfo) -> Iterator[Reject]:
    if file.suffix not in ROW_SUFFIXES:
        known = ", ".join(sorted(ROW_SUFFIXES))
        yield source.reject(
            "extract.unsupported", file, f"knowledge_graph reads {known}; a word list holds no statements"
        )
        return
    rows: list[Item] = []
    for row in read_rows(file, source):
        if isinstance(row, Reject):
            yield row
        else:
            rows.append(row)
    keys = None if is_json(file) or file.suffix not in (".csv", ".tsv") else _csv_keys(file, rows)
    if keys and _is_triple(keys, rows):
        rows.insert(0, Item("line 1", dict(zip(keys, keys, strict=True))))
    if not rows:
        yield source.reject("extract.no_text", file, "no row in this file")
    poisoned = _poisoned_fields(row.value for row in rows)
    for row in rows:
        value = row.value
        if keys and isinstance(value, Mapping):
            value = dict(zip(("head", "relation", "tail"), (value[key] for key in keys), strict=True))
        elif isinstance(value, Mapping):
            for key, values in _lists_of_names(value, poisoned):
                detail = f"{row.place}: {key} holds {len(values)} names of persons, not what it says"
                yield source.reject("kg.person_names", file, detail)
                value = {name: item for name, item in value.items() if name != key}
        for problem in _add(graph, value):
            yield source.reject("extract.field", file, f"{row.place}: {problem}", row.value)


def _poisoned_fields(values: Iterable[Any]) -> frozenset[str]:
    """Fields of disease records that hold names of persons through the whole file."""
    held: dict[str, list[str]] = {}
    for value in values:
        if isinstance(value, Mapping):
            for key, item in value.items():
                relation = _CANONICAL.get(str(key))
                if relation in _NO_NAMES and isinstance(item, list):
                    held.setdefault(str(key), []).extend(text for text in item if isinstance(text, str))
    return frozenset(key for key, texts in held.items() if looks_like_names(texts))


def _lists_of_names(value: Mapping[str, Any], poisoned: frozenset[str]) -> list[tuple[str, list[str]]]:
    found = []
    for key, item in value.items():
        if _CANONICAL.get(str(key)) in _NO_NAMES and isinstance(item, list) and item:
            texts = [text for text in item if isinstance(text, str)]
            if key in poisoned or looks_like_names(texts):
                found.append((str(key), texts))
    return found


def _csv_keys(file: SourceFile, rows: Sequence[Item]) -> tuple[str, str, str] | None:
    """The header's names of head, relation and tail; without such names, all three columns of a narrow table."""
    header = csv_header(file)
    lower = {name.lower(): name for name in header}
    found = [next((lower[alias] for alias in aliases if alias in lower), None) for aliases in (_HEADS, _RELS, _TAILS)]
    if all(found):
        return (str(found[0]), str(found[1]), str(found[2]))
    return (header[0], header[1], header[2]) if len(header) == 3 and len(lower) == 3 else None


def _is_triple(header: tuple[str, str, str], rows: Sequence[Item]) -> bool:
    """Whether the first line is no header but a triple: its relation is a known one, or that of another line."""
    relation = header[1]
    if relation.lower() in _RELS:
        return False
    return relation in _CANONICAL or any(
        isinstance(row.value, Mapping) and row.value.get(relation) == relation for row in rows
    )


def _add(graph: nx.MultiDiGraph[str], value: Any) -> list[str]:
    """Put one row into the graph; the answers say what is wrong with it, if anything."""
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(item, str) for item in value):
        value = dict(zip(("head", "relation", "tail"), value, strict=True))
    if not isinstance(value, Mapping):
        return [f"expected an object or a triple, found {type(value).__name__}"]
    if "rels" in value:
        return _add_group(graph, value)
    if "label" in value and "name" in value:
        return _add_entity(graph, value)
    if "name" in value:
        return _add_disease(graph, value)
    head, relation, tail = (_first(value, names) for names in (_HEADS, _RELS, _TAILS))
    if head is None and relation is None:
        return [f"neither a triple nor a disease record (has {', '.join(map(str, list(value)[:8]))})"]
    for name, text in (("head", head), ("relation", relation), ("tail", tail)):
        if not isinstance(text, str) or not text.strip():
            return [f"{name} is {'missing' if text is None else 'no text' if not isinstance(text, str) else 'empty'}"]
    _edge(graph, str(head), str(relation), str(tail))
    return []


def _first(value: Mapping[str, Any], names: Iterable[str]) -> Any:
    lower = {str(key).lower(): item for key, item in value.items()}
    return next((lower[name] for name in names if name in lower), None)


def _add_group(graph: nx.MultiDiGraph[str], value: Mapping[str, Any]) -> list[str]:
    """A relation group ``{rel_type, rel_name, rels: [{start_entity_name, end_entity_name}]}``."""
    kind, name = str(value.get("rel_type", "")), str(value.get("rel_name", ""))
    rels = value["rels"]
    if not isinstance(rels, list):
        return [f"rels: expected a list, found {type(rels).__name__}"]
    starts_at_disease = str(value.get("start_entity_type", "Disease")).lower() in _DISEASE_LABELS
    relation = _CANONICAL.get(kind) or _CANONICAL.get(name) if starts_at_disease else None
    problems = []
    for number, rel in enumerate(rels):
        head, tail = (_first(rel, names) for names in (_HEADS, _TAILS)) if isinstance(rel, Mapping) else (None, None)
        if not isinstance(head, str) or not isinstance(tail, str) or not head.strip() or not tail.strip():
            problems.append(f"rels[{number}]: expected start_entity_name and end_entity_name")
            continue
        _edge(graph, head, relation or name or kind, tail, known=relation is not None)
    return problems


def _add_entity(graph: nx.MultiDiGraph[str], value: Mapping[str, Any]) -> list[str]:
    """An entity ``{label, name}``; the name may be a whole disease record."""
    name, label = value["name"], str(value["label"]).lower()
    if isinstance(name, Mapping):
        return _add_disease(graph, name)
    if not isinstance(name, str) or not name.strip():
        return [f"name is {'missing' if name is None else 'no text'}"]
    graph.add_node(
        name.strip(), disease=graph.nodes.get(name.strip(), {}).get("disease", False) or label in _DISEASE_LABELS
    )
    return []


def _add_disease(graph: nx.MultiDiGraph[str], value: Mapping[str, Any]) -> list[str]:
    """A disease record with the field names of the widespread Chinese medical graph."""
    name = value.get("name")
    if not isinstance(name, str) or not name.strip():
        return ["name is missing" if name is None else "name is no text"]
    name = name.strip()
    if not any(key in _CANONICAL for key in value):
        return [f"no known field beside name (has {', '.join(map(str, list(value)[:8]))})"]
    graph.add_node(name, disease=True)
    problems = []
    for key, content in value.items():
        relation = _CANONICAL.get(str(key))
        if relation is None or content is None:
            continue
        texts = _values(content, relation) if isinstance(content, str | list) else None
        if texts is None:
            problems.append(f"{key}: expected a text or a list of texts, found {_kind(content)}")
        for text in texts or []:
            _edge(graph, name, relation, text, known=True)
    return problems


def _kind(content: Any) -> str:
    if isinstance(content, list):
        content = next(item for item in content if item is not None and not isinstance(item, str))
        return f"a list with {type(content).__name__}"
    return type(content).__name__


def _values(content: str | list[Any], relation: str) -> list[str] | None:
    """The items of a field; None where one of them is no text."""
    if isinstance(content, str):
        text = content.strip()
        content = [text]
        if text.startswith("[") and text.endswith("]"):
            for parse in (ast.literal_eval, json.loads):
                with suppress(ValueError, SyntaxError, RecursionError):
                    content = parse(text)
                    break
        elif relation in _LISTS:
            content = _items(text)
    if not isinstance(content, list) or not all(item is None or isinstance(item, str) for item in content):
        return None
    return [item.strip() for item in content if item and item.strip()]


def _items(text: str) -> list[str]:
    """The items of a list in one text. What stands in brackets stays together, and so does a number like 1,000."""
    items = [""]
    position = depth = 0
    for match in _SPLIT.finditer(text):
        opens, closes, mark = match.groups()
        depth = max(0, depth + bool(opens) - bool(closes))
        items[-1] += text[position : match.start()]
        if mark and not depth:
            items.append("")
        else:
            items[-1] += match.group()
        position = match.end()
    items[-1] += text[position:]
    return items


def _edge(graph: nx.MultiDiGraph[str], head: str, relation: str, tail: str, known: bool | None = None) -> None:
    relation = relation.strip()
    name = _CANONICAL.get(relation, relation)
    is_known = name in RELATIONS if known is None else known
    head, tail = head.strip(), " ".join(tail.split())
    if not graph.has_edge(head, tail, key=name):
        graph.add_edge(head, tail, key=name, known=is_known)


def _is_disease(graph: nx.MultiDiGraph[str], node: str) -> bool:
    return bool(graph.nodes[node].get("disease")) or any(
        about["known"] for _, _, about in graph.out_edges(node, data=True)
    )


def _neighbourhood(graph: nx.MultiDiGraph[str], disease: str, source: SourceInfo) -> tuple[list[Triple], list[Reject]]:
    """The statements that a disease heads, by relation, without poisoned and contradicting ones."""
    said: dict[str, list[str]] = {name: [] for name in RELATIONS}
    for _, tail, relation, about in graph.out_edges(disease, keys=True, data=True):
        if about["known"]:
            said[relation].append(tail)
    rejects = []
    both = [food for food in said["宜吃"] if food in said["忌吃"]]
    if both:
        rejects.append(source.reject("kg.contradiction", None, f"{disease}: both 宜吃 and 忌吃: {'、'.join(both)}"))
        for relation in ("宜吃", "忌吃"):
            said[relation] = [food for food in said[relation] if food not in both]
    return [Triple(disease, relation, tail) for relation, tails in said.items() for tail in tails], rejects


def _unattached(graph: nx.MultiDiGraph[str], diseases: Sequence[str], source: SourceInfo) -> Iterator[Reject]:
    """Statements that no disease heads, a ledger entry a relation."""
    owned = set(diseases)
    counts: dict[str, int] = {}
    for head, _, relation, about in graph.edges(keys=True, data=True):
        if head not in owned or not about["known"]:
            counts[relation] = counts.get(relation, 0) + 1
    for relation, count in counts.items():
        yield source.reject("kg.unattached", None, f"{count} statements of {relation} say nothing about a disease")
