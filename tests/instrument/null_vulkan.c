// A Vulkan driver for a GPU that is not there: the real driver named by NULL_VULKAN_DRIVER compiles shaders, as it does
// for users, and nothing is ever recorded, submitted or waited for. What a program does on the CPU then stays, and what
// the driver's compiler makes of each compute pipeline is appended to the file NULL_VULKAN_LOG, if that is set.
//
// Made for Mesa's RADV, which RADV_FORCE_FAMILY puts on a winsys without hardware: it has no memory and cannot record;
// and for ANV on the kernel driver of null_i915.c.
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <vulkan/vulkan.h>

#define GIBIBYTE (1ull << 30)
#define ALL_KINDS                                                                                                      \
  (VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |  \
   VK_MEMORY_PROPERTY_HOST_CACHED_BIT)

// Of the real driver.
static PFN_vkGetInstanceProcAddr instance_function;
static PFN_vkGetDeviceProcAddr device_function;
static PFN_vkCreateDevice create_device;
static PFN_vkCreateComputePipelines create_compute_pipelines;
static PFN_vkGetPhysicalDeviceMemoryProperties memory_properties;
static PFN_vkGetPhysicalDeviceMemoryProperties2 memory_properties_2;
static PFN_vkGetBufferMemoryRequirements buffer_requirements;
static PFN_vkGetBufferMemoryRequirements2 buffer_requirements_2;
static PFN_vkGetImageMemoryRequirements image_requirements;

// Whether the real driver has no memory, so that it is the process's own.
static int without_memory;

// ---- What the compiler made of a pipeline

static void log_executable(FILE *log, VkDevice device, VkPipeline pipeline, uint32_t index, uint32_t subgroup) {
  VkPipelineExecutableInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, NULL, pipeline, index};
  PFN_vkGetPipelineExecutableStatisticsKHR statistics =
      (void *)device_function(device, "vkGetPipelineExecutableStatisticsKHR");
  PFN_vkGetPipelineExecutableInternalRepresentationsKHR texts =
      (void *)device_function(device, "vkGetPipelineExecutableInternalRepresentationsKHR");
  if (!statistics || !texts) return;

  fprintf(log, "== subgroup\n%u\n", subgroup);
  uint32_t count = 0;
  statistics(device, &which, &count, NULL);
  VkPipelineExecutableStatisticKHR *numbers = calloc(count, sizeof *numbers);
  for (uint32_t i = 0; i < count; i++) numbers[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  statistics(device, &which, &count, numbers);
  for (uint32_t i = 0; i < count; i++) {
    double value = numbers[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR ? numbers[i].value.f64
                                                                                             : numbers[i].value.u64;
    fprintf(log, "== %s\n%.0f\n", numbers[i].name, value);
  }
  free(numbers);

  count = 0;
  texts(device, &which, &count, NULL);
  VkPipelineExecutableInternalRepresentationKHR *found = calloc(count, sizeof *found);
  for (uint32_t i = 0; i < count; i++) {
    found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
  }
  texts(device, &which, &count, found);
  for (uint32_t i = 0; i < count; i++) found[i].pData = calloc(1, found[i].dataSize + 1);
  texts(device, &which, &count, found);
  for (uint32_t i = 0; i < count; i++) {
    // "Assembly" of RADV, "GEN Assembly" of ANV; the rest is of use to the compilers' own people.
    if (strstr(found[i].name, "Assembly")) fprintf(log, "== Assembly\n%s\n", (char *)found[i].pData);
    free(found[i].pData);
  }
  free(found);
}

static void log_pipeline(const char *path, VkDevice device, VkPipeline pipeline) {
  PFN_vkGetPipelineExecutablePropertiesKHR properties =
      (void *)device_function(device, "vkGetPipelineExecutablePropertiesKHR");
  FILE *log = fopen(path, "a");
  if (!properties || !log) {
    fprintf(stderr, "null_vulkan: what became of a pipeline cannot be told in %s\n", path);
    exit(1);
  }
  VkPipelineInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, NULL, pipeline};
  VkPipelineExecutablePropertiesKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
  uint32_t count = 1; // a compute pipeline is one
  properties(device, &which, &count, &executable);
  log_executable(log, device, pipeline, 0, executable.subgroupSize);
  fclose(log);
}

static VkResult compute_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                  const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *allocator,
                                  VkPipeline *pipelines) {
  const char *log = getenv("NULL_VULKAN_LOG");
  if (!log) return create_compute_pipelines(device, cache, count, infos, allocator, pipelines);
  for (uint32_t i = 0; i < count; i++) {
    VkComputePipelineCreateInfo info = infos[i];
    info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    info.flags |= VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    // Without the cache, which may know the pipeline already and then compiles nothing.
    VkResult result = create_compute_pipelines(device, VK_NULL_HANDLE, 1, &info, allocator, pipelines + i);
    if (result != VK_SUCCESS) return result;
    log_pipeline(log, device, pipelines[i]);
  }
  return VK_SUCCESS;
}

static VkResult device_that_tells(VkPhysicalDevice gpu, const VkDeviceCreateInfo *info,
                                  const VkAllocationCallbacks *allocator, VkDevice *device) {
  VkDeviceCreateInfo more = *info;
  const char **names = calloc(info->enabledExtensionCount + 1, sizeof *names);
  for (uint32_t i = 0; i < info->enabledExtensionCount; i++) names[i] = info->ppEnabledExtensionNames[i];
  names[more.enabledExtensionCount++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  more.ppEnabledExtensionNames = names;
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR tell = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, (void *)info->pNext, VK_TRUE};
  more.pNext = &tell;
  VkResult result = create_device(gpu, &more, allocator, device);
  free(names);
  return result;
}

// ---- Memory: the process's own, and only what is touched of it

typedef struct {
  void *start;
  VkDeviceSize size;
} Block;

static void give_memory(VkPhysicalDeviceMemoryProperties *memory) {
  if (memory->memoryTypeCount == 0) {
    without_memory = 1;
    memory->memoryTypeCount = memory->memoryHeapCount = 1;
    memory->memoryHeaps[0].flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    memory->memoryTypes[0].heapIndex = 0;
    memory->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  }
  for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
    if (memory->memoryHeaps[i].size < 16 * GIBIBYTE) memory->memoryHeaps[i].size = 16 * GIBIBYTE;
  }
  for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
    memory->memoryTypes[i].propertyFlags |= ALL_KINDS & ~VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  }
}

static void get_memory(VkPhysicalDevice gpu, VkPhysicalDeviceMemoryProperties *memory) {
  memory_properties(gpu, memory);
  give_memory(memory);
}

static void get_memory_2(VkPhysicalDevice gpu, VkPhysicalDeviceMemoryProperties2 *memory) {
  memory_properties_2(gpu, memory);
  give_memory(&memory->memoryProperties);
}

static void get_buffer_requirements(VkDevice device, VkBuffer buffer, VkMemoryRequirements *needs) {
  buffer_requirements(device, buffer, needs);
  needs->memoryTypeBits = 1;
}

static void get_buffer_requirements_2(VkDevice device, const VkBufferMemoryRequirementsInfo2 *info,
                                      VkMemoryRequirements2 *needs) {
  buffer_requirements_2(device, info, needs);
  needs->memoryRequirements.memoryTypeBits = 1;
}

static void get_image_requirements(VkDevice device, VkImage image, VkMemoryRequirements *needs) {
  image_requirements(device, image, needs);
  needs->memoryTypeBits = 1;
}

static VkResult allocate(VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *allocator,
                         VkDeviceMemory *memory) {
  Block *block = malloc(sizeof *block);
  block->size = info->allocationSize;
  block->start = mmap(NULL, block->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block->start == MAP_FAILED) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  *memory = (VkDeviceMemory)(uintptr_t)block;
  return VK_SUCCESS;
}

static void release(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *allocator) {
  Block *block = (Block *)(uintptr_t)memory;
  if (!block) return;
  munmap(block->start, block->size);
  free(block);
}

static VkResult map(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,
                    VkMemoryMapFlags flags, void **data) {
  *data = (char *)((Block *)(uintptr_t)memory)->start + offset;
  return VK_SUCCESS;
}

// ---- Nothing runs: all is done at once, and all queries answer nought

static VkResult nothing(void) { return VK_SUCCESS; }

static VkResult new_handle(VkDevice device, const void *info, const VkAllocationCallbacks *allocator, uint64_t *handle) {
  static uint64_t last;
  *handle = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
  return VK_SUCCESS;
}

static VkResult no_file(VkDevice device, const void *info, int *file) {
  *file = -1;
  return VK_SUCCESS;
}

static VkResult long_done(VkDevice device, VkSemaphore semaphore, uint64_t *value) {
  *value = UINT64_MAX / 2;
  return VK_SUCCESS;
}

static VkResult query_results(VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t size, void *data,
                              VkDeviceSize stride, VkQueryResultFlags flags) {
  memset(data, 0, size);
  return VK_SUCCESS;
}

// ---- Which function is whose

typedef struct {
  const char *name;
  void *instead;
  void *real; // where the real one is kept, if it is called
} Replacement;

#define NOTHING(name) {name, nothing, NULL}

static const Replacement always[] = {
    {"vkCreateDevice", device_that_tells, &create_device},
    {"vkCreateComputePipelines", compute_pipelines, &create_compute_pipelines},
    {"vkGetPhysicalDeviceMemoryProperties", get_memory, &memory_properties},
    {"vkGetPhysicalDeviceMemoryProperties2", get_memory_2, &memory_properties_2},
    {"vkGetPhysicalDeviceMemoryProperties2KHR", get_memory_2, &memory_properties_2},
    {"vkCreateFence", new_handle, NULL},
    {"vkCreateSemaphore", new_handle, NULL},
    {"vkCreateQueryPool", new_handle, NULL},
    {"vkGetFenceFdKHR", no_file, NULL},
    {"vkGetSemaphoreFdKHR", no_file, NULL},
    {"vkGetSemaphoreCounterValue", long_done, NULL},
    {"vkGetSemaphoreCounterValueKHR", long_done, NULL},
    {"vkGetQueryPoolResults", query_results, NULL},
    NOTHING("vkDestroyFence"),
    NOTHING("vkDestroySemaphore"),
    NOTHING("vkDestroyQueryPool"),
    NOTHING("vkResetQueryPool"),
    NOTHING("vkResetQueryPoolEXT"),
    NOTHING("vkImportFenceFdKHR"),
    NOTHING("vkImportSemaphoreFdKHR"),
    NOTHING("vkBeginCommandBuffer"),
    NOTHING("vkEndCommandBuffer"),
    NOTHING("vkResetCommandBuffer"),
    NOTHING("vkResetCommandPool"),
    NOTHING("vkTrimCommandPool"),
    NOTHING("vkQueueSubmit"),
    NOTHING("vkQueueSubmit2"),
    NOTHING("vkQueueSubmit2KHR"),
    NOTHING("vkQueueWaitIdle"),
    NOTHING("vkDeviceWaitIdle"),
    NOTHING("vkWaitForFences"),
    NOTHING("vkGetFenceStatus"),
    NOTHING("vkResetFences"),
    NOTHING("vkWaitSemaphores"),
    NOTHING("vkWaitSemaphoresKHR"),
    NOTHING("vkSignalSemaphore"),
    NOTHING("vkSignalSemaphoreKHR"),
};

static const Replacement own_memory[] = {
    {"vkGetBufferMemoryRequirements", get_buffer_requirements, &buffer_requirements},
    {"vkGetBufferMemoryRequirements2", get_buffer_requirements_2, &buffer_requirements_2},
    {"vkGetBufferMemoryRequirements2KHR", get_buffer_requirements_2, &buffer_requirements_2},
    {"vkGetImageMemoryRequirements", get_image_requirements, &image_requirements},
    {"vkAllocateMemory", allocate, NULL},
    {"vkFreeMemory", release, NULL},
    {"vkMapMemory", map, NULL},
    NOTHING("vkUnmapMemory"),
    NOTHING("vkFlushMappedMemoryRanges"),
    NOTHING("vkInvalidateMappedMemoryRanges"),
    NOTHING("vkBindBufferMemory"),
    NOTHING("vkBindBufferMemory2"),
    NOTHING("vkBindBufferMemory2KHR"),
    NOTHING("vkBindImageMemory"),
    NOTHING("vkUpdateDescriptorSets"),
    NOTHING("vkUpdateDescriptorSetWithTemplate"),
    NOTHING("vkUpdateDescriptorSetWithTemplateKHR"),
};

static void *replaced(const Replacement *table, size_t count, const char *name, PFN_vkVoidFunction real) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(table[i].name, name)) continue;
    if (table[i].real) memcpy(table[i].real, &real, sizeof real);
    return table[i].instead;
  }
  return NULL;
}

static PFN_vkVoidFunction device_function_instead(VkDevice device, const char *name);

static PFN_vkVoidFunction choose(const char *name, PFN_vkVoidFunction real) {
  if (!real) return NULL; // what the driver lacks is not made up
  if (!strcmp(name, "vkGetDeviceProcAddr")) {
    device_function = (PFN_vkGetDeviceProcAddr)real;
    return (PFN_vkVoidFunction)device_function_instead;
  }
  void *instead = replaced(always, sizeof always / sizeof *always, name, real);
  if (!instead && without_memory) instead = replaced(own_memory, sizeof own_memory / sizeof *own_memory, name, real);
  if (!instead && !strncmp(name, "vkCmd", 5)) instead = nothing;
  return instead ? (PFN_vkVoidFunction)instead : real;
}

static PFN_vkVoidFunction device_function_instead(VkDevice device, const char *name) {
  return choose(name, device_function(device, name));
}

static void open_driver(void) {
  if (instance_function) return;
  const char *path = getenv("NULL_VULKAN_DRIVER");
  void *driver = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!driver) {
    fprintf(stderr, "null_vulkan: NULL_VULKAN_DRIVER is to be a Vulkan driver: %s\n", path ? dlerror() : "not set");
    exit(1);
  }
  instance_function = (PFN_vkGetInstanceProcAddr)dlsym(driver, "vk_icdGetInstanceProcAddr");
  VkResult (*negotiate)(uint32_t *) = dlsym(driver, "vk_icdNegotiateLoaderICDInterfaceVersion");
  uint32_t version = 5;
  if (negotiate) negotiate(&version);
}

// ---- What the Vulkan loader asks for

VkResult vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  open_driver();
  if (*version > 5) *version = 5;
  return VK_SUCCESS;
}

PFN_vkVoidFunction vk_icdGetInstanceProcAddr(VkInstance instance, const char *name) {
  open_driver();
  return choose(name, instance_function(instance, name));
}

PFN_vkVoidFunction vk_icdGetPhysicalDeviceProcAddr(VkInstance instance, const char *name) { return NULL; }
