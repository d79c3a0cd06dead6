# onnxq_quantize(OUTPUT model.int8.onnx INPUT model.onnx [TARGET name] [SIDE_FILE]
#                [OPTIONS --option...] [DEPENDS file...])
#
# A build rule, part of `all`: OUTPUT is made again whenever INPUT changes, a side file of it
# (model.onnx.data, model.onnx_data), what DEPENDS lists (ranges, inputs, targets), or onnxq itself.
# TARGET names the custom target that stands for it. With SIDE_FILE weights go to OUTPUT.data, which
# the build then knows. Relative paths are taken from the source folder (INPUT, DEPENDS) and the
# build folder (OUTPUT).
function(onnxq_quantize)
    cmake_parse_arguments(PARSE_ARGV 0 arg "SIDE_FILE" "OUTPUT;INPUT;TARGET" "OPTIONS;DEPENDS")
    if(NOT arg_OUTPUT OR NOT arg_INPUT OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "usage: onnxq_quantize(OUTPUT file INPUT file [TARGET name] [SIDE_FILE] "
            "[OPTIONS ...] [DEPENDS ...])")
    endif()
    get_filename_component(input ${arg_INPUT} ABSOLUTE)
    get_filename_component(output ${arg_OUTPUT} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_BINARY_DIR})
    if(NOT arg_TARGET) # a name that is the same in every configuration
        string(MD5 digest ${output})
        string(SUBSTRING ${digest} 0 8 digest)
        get_filename_component(arg_TARGET ${output} NAME)
        string(MAKE_C_IDENTIFIER quantize_${arg_TARGET}_${digest} arg_TARGET)
    endif()
    set(depends ${input} ${arg_DEPENDS})
    foreach(side_file ${input}.data ${input}_data)
        if(EXISTS ${side_file})
            list(APPEND depends ${side_file})
        endif()
    endforeach()
    set(byproducts)
    if(arg_SIDE_FILE)
        set(byproducts BYPRODUCTS ${output}.data)
        list(APPEND arg_OPTIONS --external-data always)
    endif()
    add_custom_command(OUTPUT ${output} ${byproducts}
        COMMAND onnxq::onnxq_command quantize -q ${arg_OPTIONS} -- ${input} ${output}
        DEPENDS ${depends} onnxq::onnxq_command
        COMMENT "Quantizing ${arg_INPUT}"
        VERBATIM)
    add_custom_target(${arg_TARGET} ALL DEPENDS ${output})
endfunction()
