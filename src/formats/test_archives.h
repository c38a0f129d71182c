// Pickles, zip archives and legacy checkpoints made byte by byte, right or wrong in one chosen
// place. For tests alone.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/test_files.h"

namespace sdtune {

// Opcodes with their arguments

inline std::string pickle_of(std::string_view opcodes) {
  return "\x80\x02" + std::string(opcodes) + ".";
}
inline std::string p_name(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string p_text(std::string_view text) {
  std::string opcode = "X";
  opcode += little<uint32_t>(text.size());
  return opcode.append(text);
}
inline std::string p_int(int64_t value) { return "\x8a\x08" + little<int64_t>(value); }
inline std::string p_tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const std::string& item : items) all += item;
  return all + "t";
}
inline std::string p_ints(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(p_int(value));
  return p_tuple(items);
}
inline std::string p_storage(const std::string& type, const std::string& key, int64_t elements) {
  return p_tuple({p_text("storage"), p_name("torch", type), p_text(key), p_text("cpu"),
                  p_int(elements)}) +
         "Q";
}
inline std::string p_tensor(const std::string& storage, int64_t offset,
                            const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides) {
  return p_name("torch._utils", "_rebuild_tensor_v2") +
         p_tuple({storage, p_int(offset), p_ints(shape), p_ints(strides), "\x89", "}"}) + "R";
}
inline std::string p_dict(const std::vector<std::string>& keys_and_values) {
  std::string all = "}(";
  for (const std::string& item : keys_and_values) all += item;
  return all + "u";
}

// Zip

struct ZipPart {
  std::string name;
  std::string bytes;
  std::string local_name = {};  // where it differs
  uint16_t method = 0;
  uint16_t flags = 0;
  uint32_t crc_change = 0;
  uint32_t size_change = 0;   // of the unpacked size, in the directory
  int64_t header_change = 0;  // of the header's offset, in the directory
  bool wide = false;          // sizes and offset in zip64 fields
  std::string after = {};     // bytes between this entry and the next
};

inline std::string zip_facts(const ZipPart& part, uint32_t size_change) {
  const auto crc = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(part.bytes.data()),
                                               static_cast<uInt>(part.bytes.size())));
  const auto size = static_cast<uint32_t>(part.bytes.size());
  return little<uint16_t>(part.flags) + little<uint16_t>(part.method) + little<uint32_t>(0) +
         little<uint32_t>(crc ^ part.crc_change) + little<uint32_t>(part.wide ? UINT32_MAX : size) +
         little<uint32_t>(part.wide ? UINT32_MAX : size + size_change);
}

inline std::string zip_of(const std::vector<ZipPart>& parts) {
  std::string out, directory;
  for (const ZipPart& part : parts) {
    const uint64_t offset = out.size() + static_cast<uint64_t>(part.header_change);
    const uint64_t size = part.bytes.size();
    const std::string& local = part.local_name.empty() ? part.name : part.local_name;
    std::string extra;
    if (part.wide) extra = little<uint64_t>(size) + little<uint64_t>(size);
    const auto field = [](const std::string& content) {
      if (content.empty()) return content;
      return little<uint16_t>(1) + little<uint16_t>(content.size()) + content;
    };
    out += "PK\3\4" + little<uint16_t>(20) + zip_facts(part, 0) + little<uint16_t>(local.size()) +
           little<uint16_t>(field(extra).size()) + local + field(extra) + part.bytes + part.after;
    if (part.wide) extra += little<uint64_t>(offset);
    directory += "PK\1\2" + little<uint32_t>(0) + zip_facts(part, part.size_change) +
                 little<uint16_t>(part.name.size()) + little<uint16_t>(field(extra).size()) +
                 std::string(10, '\0') + little<uint32_t>(part.wide ? UINT32_MAX : offset) +
                 part.name + field(extra);
  }
  const uint64_t begin = out.size();
  return out + directory + "PK\5\6" + little<uint32_t>(0) + little<uint16_t>(parts.size()) +
         little<uint16_t>(parts.size()) + little<uint32_t>(directory.size()) +
         little<uint32_t>(begin) + little<uint16_t>(0);
}

inline std::string zip_checkpoint_of(const std::string& pickle,
                                     const std::vector<std::string>& storages) {
  std::vector<ZipPart> parts = {{"archive/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i) {
    parts.push_back({"archive/data/" + std::to_string(i), storages[i]});
  }
  return zip_of(parts);
}

// The legacy form: magic, version, machine, object, keys, then counts and bytes.

struct LegacyParts {
  std::string magic = pickle_of("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  std::string version = pickle_of("M\xe9\x03");
  std::string machine = pickle_of(p_dict({p_text("little_endian"), "\x88"}));
  std::string object;
  std::string keys = pickle_of("](" + p_text("0") + "e");
  std::string storages;

  std::string bytes() const { return magic + version + machine + object + keys + storages; }
};

}  // namespace sdtune
