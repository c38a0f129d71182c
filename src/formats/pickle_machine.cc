#include "formats/pickle_machine.h"

#include <cstring>

#include "base/error.h"
#include "formats/pickle_bytes.h"
#include "formats/pickle_objects.h"
#include "formats/utf8.h"

namespace sdtune {
namespace {

// Opcodes of the pickle protocols, by the letters that Python's pickle module gives them.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinFloat = 'G',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinUnicode = 'X',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyList = ']',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kTuple = 't',
  kSetItem = 's',
  kSetItems = 'u',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kBinPersistentId = 'Q',
  kProto = 0x80,
  kNewObject = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

constexpr uint32_t kUnset = UINT32_MAX;

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes, where), where_(where), objects_(graph_, where) {}

  PickleGraph run() {
    if (bytes_.number<uint8_t>() != kProto) refuse("does not begin with its protocol");
    const int protocol = bytes_.number<uint8_t>();
    if (protocol < 2 || protocol > 5) {
      refuse(fmt::format("is of protocol {}; 2 to 5 are read", protocol));
    }
    for (size_t count = 0;; ++count) {
      if (count == kMaxPickleOpcodes) refuse("has too many steps");
      const uint8_t opcode = bytes_.opcode();
      if (opcode == kStop) break;
      if (!scalar(opcode) && !text(opcode) && !container(opcode) && !memo(opcode) &&
          !object(opcode)) {
        refuse(fmt::format("uses the opcode 0x{:02x}, which torch.save does not write", opcode));
      }
    }
    bytes_.finish();
    if (stack_.size() != 1 || !marks_.empty()) refuse("does not end with one value");
    graph_.root = stack_.back();
    graph_.bytes = bytes_.position();
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { refuse_pickle(what, where_); }

  // The stack

  void push(PickleValue value) { stack_.push_back(objects_.push(value)); }

  uint32_t pop() {
    if (stack_.size() <= floor()) refuse("takes a value from an empty stack");
    const uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }

  uint32_t top() const {
    if (stack_.size() <= floor()) refuse("takes a value from an empty stack");
    return stack_.back();
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) refuse("closes a list that was not opened");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    stack_.push_back(objects_.push_container(PickleKind::kTuple, std::move(items)));
  }

  // Groups of opcodes: each does its own and answers whether the opcode was one of them.

  bool scalar(uint8_t opcode) {
    switch (opcode) {
      case kNone:
        push({});
        return true;
      case kNewTrue:
        push({.kind = PickleKind::kBool, .number = 1});
        return true;
      case kNewFalse:
        push({.kind = PickleKind::kBool, .number = 0});
        return true;
      case kBinInt:
        push_int(bytes_.number<int32_t>());
        return true;
      case kBinInt1:
        push_int(bytes_.number<uint8_t>());
        return true;
      case kBinInt2:
        push_int(bytes_.number<uint16_t>());
        return true;
      case kLong1:
        push_long(bytes_.take(bytes_.number<uint8_t>()));
        return true;
      case kBinFloat:
        push_float(bytes_.number<uint64_t>());
        return true;
      default:
        return false;
    }
  }

  void push_int(int64_t value) { push({.kind = PickleKind::kInt, .number = value}); }

  void push_float(uint64_t big_endian) {
    push({.kind = PickleKind::kFloat,
          .number = static_cast<int64_t>(__builtin_bswap64(big_endian))});
  }

  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(int64_t)) {
      return push({.kind = PickleKind::kBigInt, .text = digits});
    }
    const bool negative = !digits.empty() && static_cast<int8_t>(digits.back()) < 0;
    int64_t value = negative ? -1 : 0;
    std::memcpy(&value, digits.data(), digits.size());
    push_int(value);
  }

  bool text(uint8_t opcode) {
    switch (opcode) {
      case kShortBinUnicode:
        push_text(bytes_.run_of(bytes_.number<uint8_t>()));
        return true;
      case kBinUnicode:
        push_text(bytes_.run_of(bytes_.number<uint32_t>()));
        return true;
      case kBinUnicode8:
        push_text(bytes_.run_of(bytes_.number<uint64_t>()));
        return true;
      case kShortBinString:
        push_old_string(bytes_.run_of(bytes_.number<uint8_t>()));
        return true;
      case kBinString:
        push_old_string(bytes_.run_of(bytes_.number<uint32_t>()));
        return true;
      case kShortBinBytes:
        push_bytes(bytes_.run_of(bytes_.number<uint8_t>()));
        return true;
      case kBinBytes:
        push_bytes(bytes_.run_of(bytes_.number<uint32_t>()));
        return true;
      case kBinBytes8:
        push_bytes(bytes_.run_of(bytes_.number<uint64_t>()));
        return true;
      default:
        return false;
    }
  }

  void push_text(std::string_view text) {
    if (!is_utf8(text)) refuse("has a text that is not UTF-8");
    push({.kind = PickleKind::kText, .text = text});
  }

  void push_bytes(std::string_view bytes) { push({.kind = PickleKind::kBytes, .text = bytes}); }

  // Python 2 wrote names and raw bytes alike.
  void push_old_string(std::string_view bytes) {
    is_utf8(bytes) ? push_text(bytes) : push_bytes(bytes);
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case kMark:
        if (marks_.size() == kMaxPickleMarks) refuse("is nested too deeply");
        marks_.push_back(stack_.size());
        return true;
      case kEmptyList:
        stack_.push_back(objects_.push_container(PickleKind::kList, {}));
        return true;
      case kEmptyDict:
        stack_.push_back(objects_.push_container(PickleKind::kDict, {}));
        return true;
      case kEmptyTuple:
        push_tuple(0);
        return true;
      case kTuple1:
        push_tuple(1);
        return true;
      case kTuple2:
        push_tuple(2);
        return true;
      case kTuple3:
        push_tuple(3);
        return true;
      case kTuple:
        stack_.push_back(objects_.push_container(PickleKind::kTuple, pop_to_mark()));
        return true;
      case kAppend:
        extend(PickleKind::kList, {pop()});
        return true;
      case kAppends:
        extend(PickleKind::kList, pop_to_mark());
        return true;
      case kSetItem: {
        const uint32_t value = pop();
        const uint32_t key = pop();
        extend(PickleKind::kDict, {key, value});
        return true;
      }
      case kSetItems:
        extend(PickleKind::kDict, pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  void extend(PickleKind kind, const std::vector<uint32_t>& items) {
    const PickleValue& target = graph_.values[top()];
    if (target.kind != kind || (kind == PickleKind::kDict && items.size() % 2 != 0)) {
      refuse("fills something that is no such container");
    }
    std::vector<uint32_t>& list = graph_.lists[target.index];
    list.insert(list.end(), items.begin(), items.end());
  }

  bool memo(uint8_t opcode) {
    switch (opcode) {
      case kBinPut:
        remember(bytes_.number<uint8_t>());
        return true;
      case kLongBinPut:
        remember(bytes_.number<uint32_t>());
        return true;
      case kMemoize:
        remember(memoized_);
        return true;
      case kBinGet:
        recall(bytes_.number<uint8_t>());
        return true;
      case kLongBinGet:
        recall(bytes_.number<uint32_t>());
        return true;
      default:
        return false;
    }
  }

  void remember(size_t slot) {
    if (slot >= kMaxPickleMemo) refuse("remembers too many values");
    if (slot >= memo_.size()) memo_.resize(slot + 1, kUnset);
    if (memo_[slot] == kUnset) ++memoized_;
    memo_[slot] = top();
  }

  void recall(size_t slot) {
    if (slot >= memo_.size() || memo_[slot] == kUnset) refuse("recalls what it never remembered");
    stack_.push_back(memo_[slot]);
  }

  bool object(uint8_t opcode) {
    switch (opcode) {
      case kFrame:
        bytes_.enter_frame();
        return true;
      case kGlobal: {
        const std::string_view module = bytes_.line();
        push_name(module, bytes_.line());
        return true;
      }
      case kStackGlobal:
        push_name_from_stack();
        return true;
      case kBinPersistentId:
        push(objects_.storage(graph_.values[pop()]));
        return true;
      case kReduce: {
        const uint32_t arguments = pop();
        const uint32_t callable = pop();
        stack_.push_back(objects_.call(callable, arguments));
        return true;
      }
      case kNewObject:
        make_opaque();
        return true;
      case kBuild:
        set_state();
        return true;
      default:
        return false;
    }
  }

  void push_name_from_stack() {
    const PickleValue& name = graph_.values[pop()];
    const PickleValue& module = graph_.values[pop()];
    if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) {
      refuse("has a name that is no text");
    }
    push_name(module.text, name.text);
  }

  void push_name(std::string_view module, std::string_view name) {
    const PickleName* known = find_pickle_name(module, name);
    if (known == nullptr) {
      refuse(fmt::format("asks for '{}', which no checkpoint of weights needs",
                         printable(std::string(module.substr(0, kMaxPickleName)) + "." +
                                   std::string(name.substr(0, kMaxPickleName)))));
    }
    if (known->meaning == PickleMeaning::kOpaque) {
      graph_.opaque_names.insert(fmt::format("{}.{}", module, name));
    }
    push({.kind = PickleKind::kName, .name = known});
  }

  static std::string printable(std::string text) {
    for (char& c : text) {
      if (c < ' ' || c > '~') c = '?';
    }
    return text;
  }

  // Class(*arguments), of a class whose objects are skipped.
  void make_opaque() {
    pop();
    const PickleValue& type = graph_.values[pop()];
    if (type.kind != PickleKind::kName || type.name->meaning != PickleMeaning::kOpaque) {
      refuse("makes an object of a class that no checkpoint of weights needs");
    }
    push({.kind = PickleKind::kOpaque});
  }

  // torch gives a state dict its _metadata in this way. State never reaches weights: it is dropped.
  void set_state() {
    pop();
    const PickleKind target = graph_.values[top()].kind;
    if (target != PickleKind::kDict && target != PickleKind::kOpaque) {
      refuse("sets the state of a value that has none");
    }
  }

  PickleBytes bytes_;
  const std::string& where_;
  PickleGraph graph_;
  PickleObjects objects_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::vector<uint32_t> memo_;
  size_t memoized_ = 0;
};

}  // namespace

PickleGraph read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return PickleMachine(bytes, where).run();
}

}  // namespace sdtune
