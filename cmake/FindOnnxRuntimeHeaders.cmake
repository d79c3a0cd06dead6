# Finds onnxruntime_c_api.h, which only the test of src/engine/ort_abi.h needs:
# -Donnxruntime_ROOT=DIR, $ONNXRUNTIME_ROOT, libonnxruntime.pc, the usual places.
# Gives OnnxRuntime::Headers and OnnxRuntimeHeaders_VERSION, the API version.
#
# The header alone is looked for: the CMake files in the archives of releases name folders that
# are not there.

find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
    pkg_check_modules(PC_ONNXRUNTIME QUIET libonnxruntime)
endif()

find_path(OnnxRuntimeHeaders_INCLUDE_DIR onnxruntime_c_api.h
    HINTS ${onnxruntime_ROOT} ENV ONNXRUNTIME_ROOT ${PC_ONNXRUNTIME_INCLUDE_DIRS}
    PATH_SUFFIXES include onnxruntime include/onnxruntime onnxruntime/core/session
        include/onnxruntime/core/session)
mark_as_advanced(OnnxRuntimeHeaders_INCLUDE_DIR)

if(OnnxRuntimeHeaders_INCLUDE_DIR)
    file(STRINGS ${OnnxRuntimeHeaders_INCLUDE_DIR}/onnxruntime_c_api.h line
        REGEX "#define ORT_API_VERSION [0-9]+")
    string(REGEX MATCH "[0-9]+" OnnxRuntimeHeaders_VERSION "${line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxRuntimeHeaders
    REQUIRED_VARS OnnxRuntimeHeaders_INCLUDE_DIR VERSION_VAR OnnxRuntimeHeaders_VERSION)

if(OnnxRuntimeHeaders_FOUND AND NOT TARGET OnnxRuntime::Headers)
    add_library(OnnxRuntime::Headers INTERFACE IMPORTED)
    set_target_properties(OnnxRuntime::Headers PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES ${OnnxRuntimeHeaders_INCLUDE_DIR}
        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${OnnxRuntimeHeaders_INCLUDE_DIR})
endif()
