// Numbers of the zip format that its reader and its writer share (PKWARE APPNOTE 6.3 §4.3-4.5).
#pragma once

#include <cstdint>

namespace sdtune::zip {

inline constexpr uint32_t kLocalHeader = 0x04034b50;
inline constexpr uint32_t kDataDescriptor = 0x08074b50;
inline constexpr uint32_t kCentralHeader = 0x02014b50;
inline constexpr uint32_t kEnd64 = 0x06064b50;
inline constexpr uint32_t kEnd64Locator = 0x07064b50;
inline constexpr uint32_t kEnd = 0x06054b50;

inline constexpr uint64_t kLocalHeaderBytes = 30;
inline constexpr uint64_t kEndBytes = 22;
inline constexpr uint64_t kEnd64Bytes = 56;
inline constexpr uint64_t kEnd64LocatorBytes = 20;

inline constexpr uint16_t kZip64Extra = 0x0001;
inline constexpr uint16_t kPaddingExtra = 0x4246;  // "FB", PyTorch's padding

inline constexpr uint16_t kEncrypted = 1 << 0;
inline constexpr uint16_t kHasDescriptor = 1 << 3;
inline constexpr uint16_t kUtf8Names = 1 << 11;

inline constexpr uint16_t kIn64 = 0xffff;          // "see the zip64 record", 16 bits
inline constexpr uint32_t kIn64Long = 0xffffffff;  // the same, 32 bits

}  // namespace sdtune::zip
