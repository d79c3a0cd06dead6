# What is installed where, and the packages that are made of it: component `command` is the package
# onnxq, `library` libonnxq0, `dev` libonnxq-dev.

install(TARGETS onnxq EXPORT onnxqTargets COMPONENT command)
install(TARGETS onnxq_shared EXPORT onnxqTargets
    LIBRARY COMPONENT library NAMELINK_COMPONENT dev)
install(TARGETS onnxq_static EXPORT onnxqTargets COMPONENT dev)
install(FILES include/onnxq/onnxq.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/onnxq COMPONENT dev)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/onnxq)
install(EXPORT onnxqTargets NAMESPACE onnxq:: DESTINATION ${package_dir} COMPONENT dev)
configure_package_config_file(cmake/onnxqConfig.cmake.in onnxqConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(onnxqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/onnxqConfig.cmake ${PROJECT_BINARY_DIR}/onnxqConfigVersion.cmake
    ${PROJECT_SOURCE_DIR}/cmake/onnxqQuantize.cmake DESTINATION ${package_dir} COMPONENT dev)

# Written relative to itself, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/onnxq.pc.in onnxq.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/onnxq.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT dev)

# --- manual page, completions, documents ----------------------------------------
# The command itself writes the first two, from the tables of its options.

set(written ${PROJECT_BINARY_DIR}/written)
set(written_files ${written}/onnxq.1 ${written}/onnxq ${written}/_onnxq ${written}/onnxq.fish)
set(run $<TARGET_FILE:onnxq>)
if(CMAKE_CROSSCOMPILING)
    set(run ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:onnxq>)
endif()
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
    file(MAKE_DIRECTORY ${written})
    add_custom_command(OUTPUT ${written_files}
        COMMAND ${run} help --man > onnxq.1
        COMMAND ${run} completion bash > onnxq
        COMMAND ${run} completion zsh > _onnxq
        COMMAND ${run} completion fish > onnxq.fish
        DEPENDS onnxq WORKING_DIRECTORY ${written} COMMENT "Writing manual page and completions")
    add_custom_target(onnxq_written ALL DEPENDS ${written_files})
    if(ONNXQ_DEBIAN)
        install(CODE "execute_process(COMMAND gzip -9nkf \"${written}/onnxq.1\")" COMPONENT command)
        install(FILES ${written}/onnxq.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
    else()
        install(FILES ${written}/onnxq.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
    endif()
    install(FILES ${written}/onnxq
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT command)
    install(FILES ${written}/_onnxq
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT command)
    install(FILES ${written}/onnxq.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT command)
endif()
file(GLOB documents ${PROJECT_SOURCE_DIR}/docs/*.md)
if(NOT ONNXQ_DEBIAN)
    list(APPEND documents CHANGELOG.md LICENSE)
endif()
install(FILES README.md ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT command)

set(ONNXQ_MAINTAINER "The onnxq authors <onnxq@example.org>" CACHE STRING "Who answers for packages")

# Of each package of Debian: its licence and what changed.
if(ONNXQ_DEBIAN)
    string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH, where it is set
    file(WRITE ${PROJECT_BINARY_DIR}/changelog.Debian "onnxq (${PROJECT_VERSION}-1) unstable; urgency=medium\n\n"
        "  * What changed: changelog.gz.\n\n -- ${ONNXQ_MAINTAINER}  ${now}\n")
    execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        OUTPUT_FILE ${PROJECT_BINARY_DIR}/changelog.gz)
    execute_process(COMMAND gzip -9nc ${PROJECT_BINARY_DIR}/changelog.Debian
        OUTPUT_FILE ${PROJECT_BINARY_DIR}/changelog.Debian.gz)
    foreach(pair command:onnxq library:libonnxq${PROJECT_VERSION_MAJOR} dev:libonnxq-dev)
        string(REPLACE ":" ";" pair ${pair})
        list(GET pair 0 component)
        list(GET pair 1 package)
        install(FILES packaging/copyright ${PROJECT_BINARY_DIR}/changelog.gz
            ${PROJECT_BINARY_DIR}/changelog.Debian.gz
            DESTINATION share/doc/${package} COMPONENT ${component})
    endforeach()
endif()

# --- packages: cpack -G DEB, cpack -G TGZ in the build folder --------------------

set(CPACK_PACKAGE_VENDOR "The onnxq authors")
set(CPACK_PACKAGE_CONTACT "${ONNXQ_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "INT8 quantization of ONNX models")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL command library dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "INT8 quantization of ONNX models - command
 Stores and computes the weights of a model as integers, compares the result
 with the float model and measures it. The comparison needs ONNX Runtime.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "INT8 quantization of ONNX models - library
 The library that turns one model file into another.")
set(CPACK_COMPONENT_DEV_DESCRIPTION "INT8 quantization of ONNX models - development files
 Header, archive, and files for CMake and pkg-config.")
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME onnxq)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION science)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS python3-onnxruntime)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libonnxq${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
file(WRITE ${PROJECT_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/triggers)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libonnxq-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libonnxq${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-1), onnxq (= ${PROJECT_VERSION}-1), libprotobuf-c-dev")
include(CPack)
