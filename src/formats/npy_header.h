// The header of one .npy array: a Python dictionary in text that says type, order and shape. Read
// by a parser for exactly that dictionary; nothing is evaluated. Format: numpy.lib.format 1.0-3.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sdtune {

struct NpyHeader {
  std::string descr;
  std::vector<int64_t> shape;
  uint64_t header_bytes = 0;  // where the values begin
  uint64_t value_bytes = 0;   // what shape and type ask for
};

// Reads the header at the start of `content`, which must hold exactly header and values. Throws
// Error naming `where` ("x.npz, array 'latents'").
NpyHeader parse_npy_header(std::span<const std::byte> content, const std::string& where);

// Magic, version 1.0, dictionary and padding to a multiple of 64 bytes, as numpy writes them.
std::string npy_header_text(const std::string& descr, std::span<const int64_t> shape);

// Bytes of one element; 0 for a type that is not read here.
uint64_t npy_item_bytes(const std::string& descr);

// Shape times element size; Error naming `where` when that is no type or no possible size.
uint64_t npy_value_bytes(const std::string& descr, std::span<const int64_t> shape,
                         const std::string& where);

}  // namespace sdtune
