// Linux's driver for Intel GPUs, played: preloaded, it answers enough of libdrm and of i915's ioctls for Mesa's ANV to
// make a device and to compile for it. NULL_I915_DEVICE is the PCI id, in hex; NULL_I915_TOPOLOGY the number of slices, of
// subslices a slice and of execution units a subslice. Nothing can be run.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <i915_drm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

// The node that libdrm is told of. It can be opened everywhere and is opened by others, too: only what is opened after the
// devices were listed is ours.
#define NODE "/dev/null"
#define PAGE 4096
#define GPU_BYTES (8ull << 30)

static int listed;
static int ours[64], ours_count;

static int is_ours(int file) {
  for (int i = 0; i < ours_count; i++) {
    if (ours[i] == file) return 1;
  }
  return 0;
}

static int adopt(int file) {
  if (file >= 0 && ours_count < 64 && !is_ours(file)) ours[ours_count++] = file;
  return file;
}

static int device_id(void) {
  const char *id = getenv("NULL_I915_DEVICE");
  return id ? (int)strtol(id, NULL, 16) : 0;
}

typedef struct {
  int slices, subslices, units;
} Topology;

static Topology topology(void) {
  Topology t = {1, 1, 8};
  const char *text = getenv("NULL_I915_TOPOLOGY");
  if (text) sscanf(text, "%d,%d,%d", &t.slices, &t.subslices, &t.units);
  return t;
}

// ---- libdrm: there is one device

static drmDevicePtr device(void) {
  // One block, for libdrm's users only read it: the device, its node's name, where it is plugged in, and what it is.
  static struct {
    drmDevice device;
    char *nodes[DRM_NODE_MAX];
    char name[16];
    drmPciBusInfo bus;
    drmPciDeviceInfo info;
  } one;
  strcpy(one.name, NODE);
  for (int i = 0; i < DRM_NODE_MAX; i++) one.nodes[i] = one.name;
  one.bus.dev = 2;
  one.info.vendor_id = 0x8086;
  one.info.device_id = device_id();
  one.info.revision_id = 1;
  one.device.nodes = one.nodes;
  one.device.available_nodes = 1 << DRM_NODE_RENDER | 1 << DRM_NODE_PRIMARY;
  one.device.bustype = DRM_BUS_PCI;
  one.device.businfo.pci = &one.bus;
  one.device.deviceinfo.pci = &one.info;
  return &one.device;
}

int drmGetDevices2(uint32_t flags, drmDevicePtr devices[], int most) {
  listed = 1;
  if (devices && most > 0) devices[0] = device();
  return 1;
}

int drmGetDevice2(int file, uint32_t flags, drmDevicePtr *found) {
  *found = device();
  return 0;
}

int drmGetDevice(int file, drmDevicePtr *found) { return drmGetDevice2(file, 0, found); }
void drmFreeDevices(drmDevicePtr devices[], int count) {}
void drmFreeDevice(drmDevicePtr *found) {}

// ---- Files: which are ours, and memory instead of what they would map

#define REAL(name, result, ...)                                                                                        \
  static result (*real)(__VA_ARGS__);                                                                                  \
  if (!real) real = dlsym(RTLD_NEXT, name)

int open(const char *path, int flags, ...) {
  REAL("open", int, const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  int mode = va_arg(rest, int);
  va_end(rest);
  int file = real(path, flags, mode);
  return listed && !strcmp(path, NODE) ? adopt(file) : file;
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int mode = va_arg(rest, int);
  va_end(rest);
  return open(path, flags | O_LARGEFILE, mode);
}

int fcntl64(int file, int command, ...) {
  REAL("fcntl64", int, int, int, ...);
  va_list rest;
  va_start(rest, command);
  long argument = va_arg(rest, long);
  va_end(rest);
  int result = real(file, command, argument);
  int copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  return copies && is_ours(file) ? adopt(result) : result;
}

void *mmap64(void *at, size_t length, int access, int flags, int file, off64_t offset) {
  REAL("mmap64", void *, void *, size_t, int, int, int, off64_t);
  if (file < 0 || !is_ours(file)) return real(at, length, access, flags, file, offset);
  return real(NULL, length, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void *mmap(void *at, size_t length, int access, int flags, int file, off_t offset) {
  return mmap64(at, length, access, flags, file, offset);
}

// ---- ioctls

static uint32_t new_handle(void) {
  static uint32_t last;
  return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static int parameter(drm_i915_getparam_t *asked) {
  Topology t = topology();
  switch (asked->param) {
  case I915_PARAM_CHIPSET_ID: *asked->value = device_id(); break;
  case I915_PARAM_CS_TIMESTAMP_FREQUENCY: *asked->value = 19200000; break;
  case I915_PARAM_HAS_ALIASING_PPGTT: *asked->value = 3; break;
  case I915_PARAM_SUBSLICE_TOTAL: *asked->value = t.slices * t.subslices; break;
  case I915_PARAM_EU_TOTAL: *asked->value = t.slices * t.subslices * t.units; break;
  case I915_PARAM_SLICE_MASK: *asked->value = (1 << t.slices) - 1; break;
  case I915_PARAM_SUBSLICE_MASK: *asked->value = (1 << t.subslices) - 1; break;
  case I915_PARAM_MMAP_GTT_VERSION:
  case I915_PARAM_MMAP_VERSION: *asked->value = 4; break;
  case I915_PARAM_CMD_PARSER_VERSION: *asked->value = 10; break;
  case I915_PARAM_NUM_FENCES_AVAIL: *asked->value = 8; break;
  default: *asked->value = 1; // the rest asks whether something is there
  }
  return 0;
}

// A first call asks for the length of an answer, a second one for the answer.
static void *answer(struct drm_i915_query_item *item, size_t length) {
  if (!item->length) {
    item->length = (int)length;
    return NULL;
  }
  return memset((void *)(uintptr_t)item->data_ptr, 0, length);
}

static void answer_topology(struct drm_i915_query_item *item) {
  Topology t = topology();
  int subslice_bytes = (t.subslices + 7) / 8, unit_bytes = (t.units + 7) / 8;
  int masks = 1 + t.slices * subslice_bytes + t.slices * t.subslices * unit_bytes;
  struct drm_i915_query_topology_info *told = answer(item, sizeof *told + masks);
  if (!told) return;
  told->max_slices = t.slices;
  told->max_subslices = t.subslices;
  told->max_eus_per_subslice = t.units;
  told->subslice_offset = 1;
  told->subslice_stride = subslice_bytes;
  told->eu_offset = 1 + t.slices * subslice_bytes;
  told->eu_stride = unit_bytes;
  memset(told->data, 0xff, masks); // all execution units work
  told->data[0] = (1 << t.slices) - 1;
  for (int slice = 0; slice < t.slices; slice++) {
    for (int byte = 0; byte < subslice_bytes; byte++) {
      told->data[1 + slice * subslice_bytes + byte] = ((1 << t.subslices) - 1) >> 8 * byte;
    }
  }
}

static int query(struct drm_i915_query *asked) {
  struct drm_i915_query_item *items = (void *)(uintptr_t)asked->items_ptr;
  for (uint32_t i = 0; i < asked->num_items; i++) {
    switch (items[i].query_id) {
    case DRM_I915_QUERY_TOPOLOGY_INFO:
    case DRM_I915_QUERY_GEOMETRY_SUBSLICES: answer_topology(items + i); break;
    case DRM_I915_QUERY_ENGINE_INFO: {
      struct drm_i915_query_engine_info *told = answer(items + i, sizeof *told + 2 * sizeof *told->engines);
      if (!told) break;
      told->num_engines = 2; // the first, of class 0, renders
      told->engines[1].engine.engine_class = I915_ENGINE_CLASS_COPY;
      break;
    }
    case DRM_I915_QUERY_MEMORY_REGIONS: {
      struct drm_i915_query_memory_regions *told = answer(items + i, sizeof *told + sizeof *told->regions);
      if (!told) break;
      told->num_regions = 1;
      told->regions[0].probed_size = told->regions[0].unallocated_size = GPU_BYTES;
      break;
    }
    default: items[i].length = -EINVAL;
    }
  }
  return 0;
}

static int i915(int number, void *argument) {
  switch (number) {
  case DRM_I915_GETPARAM: return parameter(argument);
  case DRM_I915_QUERY: return query(argument);
  case DRM_I915_GEM_CREATE: ((struct drm_i915_gem_create *)argument)->handle = new_handle(); return 0;
  case DRM_I915_GEM_CREATE_EXT: ((struct drm_i915_gem_create_ext *)argument)->handle = new_handle(); return 0;
  case DRM_I915_GEM_USERPTR: ((struct drm_i915_gem_userptr *)argument)->handle = new_handle(); return 0;
  case DRM_I915_GEM_MMAP: {
    struct drm_i915_gem_mmap *asked = argument;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    asked->addr_ptr = (uintptr_t)mmap64(NULL, asked->size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return 0;
  }
  case DRM_I915_GEM_MMAP_GTT: ((struct drm_i915_gem_mmap_offset *)argument)->offset = PAGE; return 0;
  case DRM_I915_GEM_CONTEXT_CREATE: ((struct drm_i915_gem_context_create *)argument)->ctx_id = 1; return 0;
  case DRM_I915_GEM_CONTEXT_GETPARAM: {
    struct drm_i915_gem_context_param *asked = argument;
    asked->value = asked->param == I915_CONTEXT_PARAM_GTT_SIZE ? 1ull << 48 : 0;
    return 0;
  }
  case DRM_I915_GEM_GET_APERTURE: {
    struct drm_i915_gem_get_aperture *asked = argument;
    asked->aper_size = asked->aper_available_size = GPU_BYTES;
    return 0;
  }
  default: return 0;
  }
}

static int version(struct drm_version *asked) {
  asked->version_major = 1;
  asked->version_minor = 6;
  if (asked->name && asked->name_len >= 4) memcpy(asked->name, "i915", 4);
  asked->name_len = 4;
  asked->date_len = asked->desc_len = 0;
  return 0;
}

int ioctl(int file, unsigned long request, ...) {
  REAL("ioctl", int, int, unsigned long, ...);
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (_IOC_TYPE(request) != DRM_IOCTL_BASE || !is_ours(file)) return real(file, request, argument);
  int number = _IOC_NR(request);
  if (number >= DRM_COMMAND_BASE && number < DRM_COMMAND_END) return i915(number - DRM_COMMAND_BASE, argument);
  if (number == _IOC_NR(DRM_IOCTL_VERSION)) return version(argument);
  if (number == _IOC_NR(DRM_IOCTL_GET_CAP)) ((struct drm_get_cap *)argument)->value = 1;
  if (number == _IOC_NR(DRM_IOCTL_SYNCOBJ_CREATE)) ((struct drm_syncobj_create *)argument)->handle = new_handle();
  return 0;
}
