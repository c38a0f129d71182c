// Pickles made byte by byte. None of them can run anything here; each must be refused, fast and in
// little memory, with a message that names what was found.
#include "formats/pickle_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/system.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string pickle_refusal(const std::string& pickle) {
  return refusal([&] { read_pickle(std::as_bytes(std::span(pickle)), "x.ckpt"); });
}
std::string opcodes_refusal(const std::string& opcodes) {
  return pickle_refusal(pickle_of(opcodes));
}
// The root's kind; `pickle` must be good.
PickleKind kind_of(const std::string& opcodes) {
  const std::string pickle = pickle_of(opcodes);
  const PickleGraph graph = read_pickle(std::as_bytes(std::span(pickle)), "x.ckpt");
  return graph.values[graph.root].kind;
}
int64_t number_of(const std::string& opcodes) {
  const std::string pickle = pickle_of(opcodes);
  const PickleGraph graph = read_pickle(std::as_bytes(std::span(pickle)), "x.ckpt");
  EXPECT_EQ(graph.values[graph.root].kind, PickleKind::kInt);
  return graph.values[graph.root].number;
}

TEST(Pickle, ReadsNumbers) {
  EXPECT_EQ(number_of("K\xff"), 255);
  EXPECT_EQ(number_of("M\xff\xff"), 65535);
  EXPECT_EQ(number_of("J\xff\xff\xff\xff"), -1);
  EXPECT_EQ(number_of(std::string("\x8a\x00", 2)), 0);
  EXPECT_EQ(number_of("\x8a\x01\xff"), -1);
  EXPECT_EQ(number_of(std::string("\x8a\x02\xff\x00", 4)), 255);
  EXPECT_EQ(number_of("\x8a\x05\x01\x02\x03\x04\x05"), 0x0504030201);
  EXPECT_EQ(kind_of("\x8a\x09" + std::string(9, '\1')), PickleKind::kBigInt);
  EXPECT_EQ(kind_of("N"), PickleKind::kNone);
  EXPECT_EQ(kind_of("G?\xf0" + std::string(6, '\0')), PickleKind::kFloat);
}

TEST(Pickle, ReadsTextAndContainers) {
  const std::string pickle =
      pickle_of("](" + p_text("ü") + "U\1b" + "C\2\xff\xfe" + "NK\7\x86" + "e");
  const PickleGraph graph = read_pickle(std::as_bytes(std::span(pickle)), "x");
  const std::vector<uint32_t>& items = graph.items(graph.values[graph.root]);
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(graph.values[items[0]].text, "ü");
  EXPECT_EQ(graph.values[items[1]].text, "b");
  EXPECT_EQ(graph.values[items[2]].kind, PickleKind::kBytes);
  EXPECT_EQ(graph.items(graph.values[items[3]]).size(), 2u);
  EXPECT_EQ(graph.bytes, pickle.size());
}

TEST(Pickle, DescribesTensors) {
  const std::string pickle =
      pickle_of(p_tensor(p_storage("HalfStorage", "k", 20), 3, {2, 4}, {8, 2}));
  const PickleGraph graph = read_pickle(std::as_bytes(std::span(pickle)), "x");
  ASSERT_EQ(graph.tensors.size(), 1u);
  EXPECT_EQ(graph.tensors[0].dtype, DType::kF16);
  EXPECT_EQ(graph.tensors[0].offset, 3u);
  EXPECT_THAT(graph.tensors[0].shape, ElementsAre(2, 4));
  EXPECT_THAT(graph.tensors[0].strides, ElementsAre(8, 2));
  EXPECT_EQ(graph.storages[0].key, "k");
  EXPECT_EQ(graph.storages[0].bytes, 40u);
}

TEST(Pickle, SelfReferenceIsAReference) {
  const std::string pickle =
      pickle_of("]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a");
  const PickleGraph graph = read_pickle(std::as_bytes(std::span(pickle)), "x");
  EXPECT_THAT(graph.items(graph.values[graph.root]), ElementsAre(graph.root));
}

TEST(Pickle, RefusesEveryNameThatLeadsToCode) {
  const std::pair<const char*, const char*> names[] = {
      {"os", "system"},
      {"posix", "system"},
      {"nt", "system"},
      {"subprocess", "Popen"},
      {"pty", "spawn"},
      {"marshal", "loads"},
      {"runpy", "_run_code"},
      {"importlib", "import_module"},
      {"ctypes", "CDLL"},
      {"pydoc", "pipepager"},
      {"cProfile", "run"},
      {"multiprocessing.util", "spawnv_passfds"},
      {"operator", "methodcaller"},
      {"operator", "attrgetter"},
      {"numpy.testing._private.utils", "runstring"},
      {"numpy.f2py.crackfortran", "getlincoef"},
      {"asyncio.unix_events", "_UnixSubprocessTransport"},
      {"builtins", "eval"},
      {"builtins", "exec"},
      {"builtins", "getattr"},
      {"__builtin__", "eval"},
      {"copyreg", "__reduce_ex__"},
      {"torch", "load"},
      {"torch.hub", "load"},
      {"torch.storage", "_load_from_bytes"},
      {"torch._utils", "_rebuild_wrapper_subclass"},
      {"torch.jit", "load"},
      {"torch.serialization", "load"},
      {"pickle", "loads"},
      {"_pickle", "loads"},
      {"webbrowser", "open"},
      {"shutil", "rmtree"},
      {"functools", "partial"},
      {"types", "FunctionType"},
      {"pip", "main"},
      {"code", "interact"},
      {"collections", "OrderedDict.__init__"},
      {"torch", "_utils._rebuild_tensor_v2"},
      {"torch", "storage.os.system"},
      {"collections", "abc.sys.modules"},
      {"torch.", "FloatStorage"},
      {"", ""},
      {"collections", "ordereddict"},
      {"Collections", "OrderedDict"},
  };
  for (const auto& [module, name] : names) {
    const std::string full = std::string("asks for '") + module + "." + name + "'";
    const std::string call = p_tuple({p_text("touch /tmp/pwned")}) + "R";
    EXPECT_THAT(opcodes_refusal(p_name(module, name) + call), HasSubstr(full));
    EXPECT_THAT(opcodes_refusal(p_text(module) + p_text(name) + "\x93" + call), HasSubstr(full));
  }
}

TEST(Pickle, NamesAreShownSafely) {
  EXPECT_THAT(opcodes_refusal(p_name("o\x1b[2J\xff", "x")), HasSubstr("'o?[2J?.x'"));
  EXPECT_THAT(opcodes_refusal(p_name(std::string(100000, 'm'), "x")), HasSubstr("too long"));
  EXPECT_THAT(opcodes_refusal("cos"), HasSubstr("too long"));
  const std::string long_name =
      opcodes_refusal(p_text(std::string(100000, 'm')) + p_text("x") + "\x93");
  EXPECT_LT(long_name.size(), 1000u);
  EXPECT_THAT(opcodes_refusal("K\1K\2\x93"), HasSubstr("a name that is no text"));
}

TEST(Pickle, RefusesOpcodesThatTorchDoesNotWrite) {
  const std::string cases[] = {
      "(ccollections\nOrderedDict\no0N",       // OBJ, then POP to hide it
      "(" + p_text("id") + "ios\nsystem\n0N",  // INST, then POP
      "(S'id'\nios\nsystem\n0N",
      "N0N",   // POP
      "(N1N",  // POP_MARK
      "N20",   // DUP
      "I1\n",
      "L1L\n",
      "F1.0\n",
      "S'a'\n",
      "Va\n",
      "P1\n",
      "g0\n",
      "p0\n",
      "d",
      "l",
      "\x82\1",
      "\x84\1\0\0\0",  // extension registry
      "\x8f",
      "(\x90",
      "(\x91",                              // sets
      "\x92",                               // NEWOBJ_EX
      "\x8b" + little<uint32_t>(1) + "\1",  // LONG4
      "\x96" + little<uint64_t>(1) + "a",   // bytearray
      "\x97",
      "\x98",
      "\x80\2N",
      "\xff",
      std::string(1, '\0'),
  };
  for (const std::string& opcodes : cases) {
    EXPECT_THAT(opcodes_refusal(opcodes), HasSubstr("which torch.save does not write")) << opcodes;
  }
}

TEST(Pickle, RefusesCallsOfOtherThings) {
  const std::string size = p_name("torch", "Size");
  EXPECT_THAT(opcodes_refusal(p_text("os.system") + ")R"), HasSubstr("no name"));
  EXPECT_THAT(opcodes_refusal(p_name("torch", "FloatStorage") + ")R"),
              HasSubstr("torch.FloatStorage"));
  EXPECT_THAT(opcodes_refusal(p_name("torch", "float32") + ")R"), HasSubstr("torch.float32"));
  EXPECT_THAT(opcodes_refusal(p_name("collections", "OrderedDict") + "]R"), HasSubstr("tuple"));
  EXPECT_THAT(opcodes_refusal(p_name("collections", "OrderedDict") + "K\1\x85R"),
              HasSubstr("OrderedDict"));
  EXPECT_THAT(opcodes_refusal(p_name("collections", "OrderedDict") + ")\x81"),
              HasSubstr("a class"));
  EXPECT_THAT(opcodes_refusal(p_name("torch._utils", "_rebuild_parameter") + "N\x88}\x87R"),
              HasSubstr("parameter"));
  EXPECT_THAT(opcodes_refusal(p_name("torch._utils", "_rebuild_parameter") + ")R"),
              HasSubstr("parameter"));
  EXPECT_THAT(opcodes_refusal(size + ")R"), HasSubstr("size"));
  EXPECT_THAT(opcodes_refusal(size + "N\x85R"), HasSubstr("size"));
  EXPECT_THAT(opcodes_refusal("K\1}b"), HasSubstr("state"));
  EXPECT_THAT(opcodes_refusal(size + "}b"), HasSubstr("state"));
}

TEST(Pickle, OpaqueObjectsStayOpaque) {
  const std::string scalar = p_name("numpy.core.multiarray", "scalar");
  EXPECT_EQ(kind_of(scalar + ")R"), PickleKind::kOpaque);
  EXPECT_EQ(kind_of(scalar + ")R)R}b"), PickleKind::kOpaque);
  EXPECT_EQ(kind_of(p_name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") +
                    ")\x81}b"),
            PickleKind::kOpaque);
  // Made of an opaque value, a tensor is none.
  EXPECT_THAT(opcodes_refusal(p_tensor(scalar + ")R", 0, {1}, {1})), HasSubstr("no storage"));
}

TEST(Pickle, RefusesPersistentIdsThatAreNoStorage) {
  const std::string type = p_name("torch", "FloatStorage");
  const std::string good[] = {p_text("storage"), type, p_text("0"), p_text("cpu"), p_int(4)};
  EXPECT_EQ(kind_of(p_tuple({good[0], good[1], good[2], good[3], good[4]}) + "Q"),
            PickleKind::kStorage);
  EXPECT_EQ(kind_of(p_tuple({good[0], good[1], good[2], good[3], good[4], "N"}) + "Q"),
            PickleKind::kStorage);
  const std::string bad[] = {
      p_text("os.system") + "Q",
      "K\1Q",
      "]Q",
      ")Q",
      "NQ",
      p_tuple({p_text("module"), good[1], good[2], good[3], good[4]}) + "Q",
      p_tuple({"K\1", good[1], good[2], good[3], good[4]}) + "Q",
      p_tuple({good[0], p_text("FloatStorage"), good[2], good[3], good[4]}) + "Q",
      p_tuple({good[0], p_name("torch", "float32"), good[2], good[3], good[4]}) + "Q",
      p_tuple({good[0], p_name("collections", "OrderedDict"), good[2], good[3], good[4]}) + "Q",
      p_tuple({good[0], good[1], "K\1", good[3], good[4]}) + "Q",
      p_tuple({good[0], good[1], good[2], "N", good[4]}) + "Q",
      p_tuple({good[0], good[1], good[2], good[3], p_text("4")}) + "Q",
      p_tuple({good[0], good[1], good[2], good[3], "\x8a\x09" + std::string(9, '\1')}) + "Q",
      p_tuple({good[0], good[1], good[2], good[3], "\x88"}) + "Q",
      p_tuple({good[0], good[1], good[2], good[3]}) + "Q",
      p_tuple({good[0], good[1], good[2], good[3], good[4], ")"}) + "Q",
  };
  for (const std::string& opcodes : bad) {
    EXPECT_THAT(opcodes_refusal(opcodes), HasSubstr("persistent id that is no storage"));
  }
  EXPECT_THAT(opcodes_refusal(p_storage("FloatStorage", "0", -1)), HasSubstr("-1 elements"));
  EXPECT_THAT(opcodes_refusal(p_storage("FloatStorage", "0", INT64_MAX)), HasSubstr("elements"));
  EXPECT_THAT(opcodes_refusal(p_storage("FloatStorage", "0", 4) + p_storage("LongStorage", "0", 4) +
                              "\x86"),
              HasSubstr("two ways"));
  EXPECT_THAT(opcodes_refusal(p_storage("FloatStorage", "0", 4) +
                              p_storage("FloatStorage", "0", 5) + "\x86"),
              HasSubstr("two ways"));
}

TEST(Pickle, RefusesTensorsBeyondTheirStorage) {
  const std::string storage = p_storage("FloatStorage", "0", 12);
  const auto attempt = [&](int64_t offset, std::vector<int64_t> shape,
                           std::vector<int64_t> strides) {
    return opcodes_refusal(p_tensor(storage, offset, shape, strides));
  };
  EXPECT_EQ(attempt(0, {3, 4}, {4, 1}), "");
  EXPECT_EQ(attempt(0, {4, 3}, {1, 4}), "");
  EXPECT_EQ(attempt(12, {0}, {1}), "");
  EXPECT_EQ(attempt(11, {}, {}), "");
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THAT(attempt(0, {3, 5}, {4, 1}), HasSubstr("larger than its storage"));
  EXPECT_THAT(attempt(1, {3, 4}, {4, 1}), HasSubstr("beyond its storage"));
  EXPECT_THAT(attempt(12, {}, {}), HasSubstr("beyond its storage"));
  EXPECT_THAT(attempt(13, {0}, {1}), HasSubstr("larger than its storage"));
  EXPECT_THAT(attempt(huge, {1}, {1}), HasSubstr("larger than its storage"));
  EXPECT_THAT(attempt(0, {2}, {12}), HasSubstr("beyond its storage"));
  EXPECT_THAT(attempt(0, {3}, {huge}), HasSubstr("storage"));
  EXPECT_THAT(attempt(0, {5, 2}, {huge, huge}), HasSubstr("storage"));
  EXPECT_THAT(attempt(0, {huge}, {0}), HasSubstr("larger than its storage"));
  EXPECT_THAT(attempt(0, {huge, huge}, {0, 0}), HasSubstr("larger than its storage"));
  EXPECT_THAT(attempt(-1, {1}, {1}), HasSubstr("no count"));
  EXPECT_THAT(attempt(0, {-1}, {1}), HasSubstr("no count"));
  EXPECT_THAT(attempt(11, {2}, {-1}), HasSubstr("no count"));
  EXPECT_THAT(attempt(0, {3, 4}, {1}), HasSubstr("differ in number"));
  EXPECT_THAT(attempt(0, std::vector<int64_t>(17, 1), std::vector<int64_t>(17, 1)),
              HasSubstr("dimensions"));
}

TEST(Pickle, RefusesTensorsOfWrongArguments) {
  const std::string rebuild = p_name("torch._utils", "_rebuild_tensor_v2");
  const std::string rebuild3 = p_name("torch._utils", "_rebuild_tensor_v3");
  const std::string storage = p_storage("FloatStorage", "0", 1);
  const std::string one = p_ints({1});
  EXPECT_NE(opcodes_refusal(rebuild + ")R"), "");
  EXPECT_NE(opcodes_refusal(rebuild + p_tuple({"N", p_int(0), one, one, "\x89", "}"}) + "R"), "");
  EXPECT_NE(opcodes_refusal(rebuild + p_tuple({storage, "N", one, one, "\x89", "}"}) + "R"), "");
  EXPECT_NE(opcodes_refusal(rebuild + p_tuple({storage, p_int(0), "K\1", one, "\x89", "}"}) + "R"),
            "");
  EXPECT_NE(
      opcodes_refusal(rebuild + p_tuple({storage, p_int(0), "N\x85", one, "\x89", "}"}) + "R"), "");
  EXPECT_NE(
      opcodes_refusal(rebuild3 + p_tuple({storage, p_int(0), one, one, "\x89", "}", "N"}) + "R"),
      "");
  EXPECT_NE(opcodes_refusal(
                rebuild3 +
                p_tuple({storage, p_int(0), one, one, "\x89", "}", p_name("torch", "int8")}) + "R"),
            "");
}

TEST(Pickle, RefusesMisuseOfStackAndMemo) {
  for (const char* opcodes :
       {"",    "a",    "e",    "u",  "s",   "t",   "\x85",        "\x87", "R",      "b",
        "Q",   "\x93", "\x94", "NN", "(N",  "(",   "]N(",         "N(a",  "](\x85", "N(R",
        "}Ns", "}(Nu", "]N}s", "Ne", "NNa", "h\1", "Nq\1h\2\x86", "q\1"}) {
    EXPECT_NE(opcodes_refusal(opcodes), "") << opcodes;
  }
  EXPECT_THAT(opcodes_refusal("Nr\xff\xff\xff\xff"), HasSubstr("remembers too many"));
  EXPECT_THAT(opcodes_refusal("j\xff\xff\xff\xff"), HasSubstr("never remembered"));
}

TEST(Pickle, RefusesFramesThatLie) {
  const auto framed = [](uint64_t length, const std::string& opcodes) {
    return pickle_refusal("\x80\x04\x95" + little<uint64_t>(length) + opcodes);
  };
  EXPECT_EQ(framed(2, "N."), "");
  EXPECT_EQ(pickle_refusal("\x80\x04\x95" + little<uint64_t>(2) + "]N" + "a."), "");
  EXPECT_THAT(framed(3, "N."), HasSubstr("frame"));
  EXPECT_THAT(framed(UINT64_MAX, "N."), HasSubstr("frame"));
  EXPECT_THAT(framed(3, "N.N"), HasSubstr("frame"));
  EXPECT_THAT(framed(2, "X" + little<uint32_t>(1) + "a."), HasSubstr("frame"));
  EXPECT_THAT(framed(11, "\x95" + little<uint64_t>(2) + "N."), HasSubstr("frame"));
}

TEST(Pickle, RefusesLengthsAndProtocolsThatLie) {
  EXPECT_NE(pickle_refusal(""), "");
  EXPECT_NE(pickle_refusal("\x80"), "");
  EXPECT_NE(pickle_refusal("N."), "");
  EXPECT_THAT(pickle_refusal("\x80\x01N."), HasSubstr("protocol 1"));
  EXPECT_THAT(pickle_refusal("\x80\x06N."), HasSubstr("protocol 6"));
  EXPECT_NE(pickle_refusal("\x80\x02N"), "");
  EXPECT_THAT(opcodes_refusal("X" + little<uint32_t>(UINT32_MAX)), HasSubstr("too long"));
  EXPECT_THAT(opcodes_refusal("\x8d" + little<uint64_t>(UINT64_MAX)), HasSubstr("too long"));
  EXPECT_THAT(opcodes_refusal("X" + little<uint32_t>(100) + "a"), HasSubstr("ends too early"));
  EXPECT_THAT(opcodes_refusal(p_text(std::string(kMaxPickleText + 1, 'a'))), HasSubstr("too long"));
  EXPECT_THAT(opcodes_refusal(p_text("\xff")), HasSubstr("UTF-8"));
  EXPECT_THAT(opcodes_refusal(std::string(kMaxPickleMarks + 1, '(')),
              HasSubstr("nested too deeply"));
}

std::string repeated(std::string_view opcodes, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += opcodes;
  return all;
}

TEST(Pickle, BombsEndInTimeAndMemory) {
  std::string laughs = "]q" + std::string(1, '\0');  // each list holds the one before it ten times
  for (char level = 1; level < 100; ++level) {
    laughs += "](" + repeated(std::string("h") + static_cast<char>(level - 1), 10) + "eq" + level;
  }
  const std::string storage = p_storage("ByteStorage", "0", 1) + "q\1";
  const std::string tensor_call = p_name("torch._utils", "_rebuild_tensor_v2") + "q\2" +
                                  p_tuple({"h\1", p_int(0), p_ints(std::vector<int64_t>(16, 1)),
                                           p_ints(std::vector<int64_t>(16, 1)), "\x89", "}"}) +
                                  "q\3";
  const std::pair<const char*, std::string> bombs[] = {
      {"lists of lists", laughs},
      {"nested tuples", ")" + repeated("\x85", kMaxPickleOpcodes)},
      {"nested lists", repeated("]", kMaxPickleOpcodes)},
      {"small tuples", repeated("N\x85", kMaxPickleOpcodes)},
      {"dicts", repeated("}", kMaxPickleOpcodes)},
      {"memo", "N" + repeated("\x94", kMaxPickleOpcodes)},
      {"tensors", storage + tensor_call + repeated("h\2h\3R", kMaxPickleOpcodes)},
      {"a list of itself", "]q\1(" + repeated("h\1", kMaxPickleOpcodes)},
      {"text", repeated(p_text("a"), kMaxPickleOpcodes)},
      {"length", std::string(kMaxPickleBytes + 1000, 'N')},
  };
  const uint64_t before = resident_bytes();
  for (const auto& [name, opcodes] : bombs) {
    const std::string pickle = pickle_of(opcodes);
    EXPECT_LT(cpu_seconds([&] { EXPECT_NE(pickle_refusal(pickle), "") << name; }), kNotForEver)
        << name;
  }
  EXPECT_LT(peak_resident_bytes() - before,
            kSlack * 100u << 20);  // 64 MB, and the bombs themselves
}

TEST(Pickle, ReadsNeitherBeyondNorForEverWhenBytesChange) {
  const std::string pickle =
      pickle_of(p_dict({p_text("w"), p_tensor(p_storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}),
                        p_text("epoch"), p_int(3)}));
  for (size_t at = 0; at < pickle.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string copy = pickle;
      copy[at] = static_cast<char>(value);
      refusal([&] {
        const PickleGraph graph = read_pickle(std::as_bytes(std::span(copy)), "x");
        ASSERT_LE(graph.bytes, copy.size());
      });
    }
  }
}

}  // namespace
}  // namespace sdtune
