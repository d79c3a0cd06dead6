# onnxq_quantize(OUTPUT model.int8.onnx INPUT model.onnx [TARGET name] [OPTIONS --option...])
#
# A build rule: OUTPUT is made again whenever INPUT changes. With TARGET there is
# a custom target of that name, part of `all`, that depends on it. Relative
# paths are taken from the source folder (INPUT) and the build folder (OUTPUT).
function(onnxq_quantize)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUTPUT;INPUT;TARGET" "OPTIONS")
    if(NOT arg_OUTPUT OR NOT arg_INPUT OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "usage: onnxq_quantize(OUTPUT file INPUT file [TARGET name] [OPTIONS ...])")
    endif()
    get_filename_component(input ${arg_INPUT} ABSOLUTE)
    get_filename_component(output ${arg_OUTPUT} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_BINARY_DIR})
    add_custom_command(OUTPUT ${output}
        COMMAND onnxq::onnxq_command quantize -q ${arg_OPTIONS} -- ${input} ${output}
        DEPENDS ${input} onnxq::onnxq_command
        COMMENT "Quantizing ${arg_INPUT}"
        VERBATIM)
    if(arg_TARGET)
        add_custom_target(${arg_TARGET} ALL DEPENDS ${output})
    endif()
endfunction()
