/* Where ONNX Runtime is looked for, in which order, and what is said when it is nowhere. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"

/* --- a computer to be searched -------------------------------------------------- */

static void make_folders(const char *path)
{
    char *copy = test_printf("%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0777);
        *slash = '/';
    }
}

static void copy(const char *from, const char *to)
{
    size_t nbytes;
    const uint8_t *bytes = test_read_file(from, &nbytes);
    make_folders(test_path(to));
    test_write_file(test_path(to), bytes, nbytes);
    assert_int_equal(chmod(test_path(to), 0755), 0);
}

static void put(const char *fake, const char *to)
{
    copy(test_printf("%s/libfake_%s.so", FAKE_ENGINES, fake), to);
}

static void put_script(const char *to, const char *text)
{
    make_folders(test_path(to));
    test_write_file(test_path(to), text, strlen(text));
    assert_int_equal(chmod(test_path(to), 0755), 0);
}

/* A "python" that prints a folder of the test, whatever it is asked. */
static void put_python(const char *name, const char *folder)
{
    put_script(test_printf("path/%s", name),
               test_printf("#!/bin/sh\nprintf %%s '%s'\n", test_path(folder)));
}

/* Replaces the name of the test's folder by "@". */
static char *shorten(char *text)
{
    const char *folder = test_path("");
    size_t n = strlen(folder);
    for (char *found; (found = strstr(text, folder)) != NULL;) {
        found[0] = '@';
        found[1] = '/';
        memmove(found + 2, found + n, strlen(found + n) + 1);
    }
    return text;
}

/*
 * What the program says, run in the test's folder, on a computer without any
 * environment but the given variables. '@' in them is the test's folder.
 */
static const char *search_by(const char *program, const char *variables, const char *arguments)
{
    char command[8192], *text = test_alloc(8192);
    const char *folder = test_printf("%s", test_path(""));
    if (!test_exists(test_path(program)))
        copy(ENGINE_PROBE, program);
    int used =
        snprintf(command, sizeof(command), "cd '%s' && env -i PATH='%spath' ", folder, folder);
    for (const char *next = variables; *next != '\0'; next++)
        used += snprintf(command + used, sizeof(command) - (size_t)used, "%.*s",
                         *next == '@' ? (int)strlen(folder) - 1 : 1, *next == '@' ? folder : next);
    snprintf(command + used, sizeof(command) - (size_t)used, " %s %s 2>&1", program, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(text, 1, 8191, pipe);
    text[n] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 6);
    return shorten(text);
}

static const char *search(const char *variables, const char *arguments)
{
    return search_by("prefix/bin/engine_probe", variables, arguments);
}

#define PACKAGE(prefix)                                                                            \
    prefix "/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.20.3"

/* --- found ----------------------------------------------------------------------- */

static const struct found_row {
    const char *name;
    const char *library; /* where it is */
    const char *variables, *arguments;
    const char *expected; /* its path, where it is not "@/" and the library */
} found_rows[] = {
    {"beside the command", PACKAGE("prefix"), "", "", NULL},
    {"VIRTUAL_ENV", PACKAGE("venv"), "VIRTUAL_ENV=@/venv", "", NULL},
    {"CONDA_PREFIX", PACKAGE("conda"), "CONDA_PREFIX=@/conda", "", NULL},
    {"a prefix with characters of patterns", PACKAGE("a*[b]?"), "VIRTUAL_ENV='@/a*[b]?'", "", NULL},
    {"Debian's package", "prefix/lib/python3/dist-packages/onnxruntime/capi/libonnxruntime.so.1",
     "", "", NULL},
    {"soname", "system/libonnxruntime.so.1", "LD_LIBRARY_PATH=@/system", "", NULL},
    {"soname of development", "system/libonnxruntime.so", "LD_LIBRARY_PATH=@/system", "", NULL},
    {"Debian's soname", "system/libonnxruntime.so.1.21", "LD_LIBRARY_PATH=@/system", "", NULL},
    {"variable: folder", "dir/libonnxruntime.so.1.20.3", "ONNXQ_ORT_LIB=@/dir", "", NULL},
    {"variable: file", "dir/any.so", "ONNXQ_ORT_LIB=@/dir/any.so", "", NULL},
    {"option: folder", "dir/libonnxruntime.so.1.20.3", "ONNXQ_ORT_LIB=none", "--ort-lib dir",
     "dir/libonnxruntime.so.1.20.3"},
    {"option: file here", "any.so", "", "--ort-lib any.so", "./any.so"},
};

static void test_found(void **state)
{
    const struct found_row *row = *state;
    put("good", row->library);
    const char *path = row->expected != NULL ? row->expected : test_printf("@/%s", row->library);
    check_text(search(row->variables, row->arguments), test_printf("1.20.3\n%s\n", path));
}

static void test_python(void **state)
{
    (void)state;
    put("good", "site/onnxruntime/capi/libonnxruntime.so.1.20.3");
    put_python("python3", "site/onnxruntime/capi");
    put_python("python", "none");
    check_text(search("", ""), "1.20.3\n@/site/onnxruntime/capi/libonnxruntime.so.1.20.3\n");
}

static void test_python_without_3(void **state)
{
    (void)state;
    put("good", "site/onnxruntime/capi/libonnxruntime.so.1.20.3");
    put_python("python", "site/onnxruntime/capi");
    check_text(search("", ""), "1.20.3\n@/site/onnxruntime/capi/libonnxruntime.so.1.20.3\n");
}

/* The newest of a folder is taken, by number and not by letter. */
static void test_newest(void **state)
{
    (void)state;
    put("old", "dir/libonnxruntime.so.1.9.0");
    put("good", "dir/libonnxruntime.so.1.20.3");
    put("old", "dir/libonnxruntime.so");
    put("old", "dir/libonnxruntime_providers_shared.so");
    check_text(search("", "--ort-lib dir"), "1.20.3\ndir/libonnxruntime.so.1.20.3\n");
}

/* --- in order --------------------------------------------------------------------- */

/* Takes the one that was found away until there is none. */
static void test_order(void **state)
{
    (void)state;
    static const char *const paths[] = {
        PACKAGE("prefix"),
        PACKAGE("venv"),
        PACKAGE("conda"),
        "system/libonnxruntime.so.1",
        "system/libonnxruntime.so",
        "system/libonnxruntime.so.1.22",
        "system/libonnxruntime.so.1.21",
        "site/capi/libonnxruntime.so.1.20.3",
    };
    for (size_t i = 0; i < COUNT(paths); i++)
        put("good", paths[i]);
    put_python("python3", "site/capi");
    for (size_t i = 0; i < COUNT(paths); i++) {
        const char *found =
            search("VIRTUAL_ENV=@/venv CONDA_PREFIX=@/conda LD_LIBRARY_PATH=@/system", "");
        check_text(found, test_printf("1.20.3\n@/%s\n", paths[i]));
        assert_int_equal(remove(test_path(paths[i])), 0);
    }
}

/* What does not work is passed over. */
static void test_passed_over(void **state)
{
    (void)state;
    put("no_symbol", PACKAGE("prefix"));
    put("old", PACKAGE("venv"));
    put("no_api", "system/libonnxruntime.so.1");
    put("good", "site/capi/libonnxruntime.so.1.20.3");
    put_python("python3", "site/capi");
    check_text(search("VIRTUAL_ENV=@/venv LD_LIBRARY_PATH=@/system", ""),
               "1.20.3\n@/site/capi/libonnxruntime.so.1.20.3\n");
}

/* --- not found -------------------------------------------------------------------- */

#define NOT_FOUND "ONNX Runtime was not found, which models are run in. Tried "
#define HINT                                                                                       \
    "\npip install onnxruntime, or name its library: --ort-lib PATH, or ONNXQ_ORT_LIB=PATH in "    \
    "the environment\n"

/* The current folder is nobody's choice: what lies in it is not found by any way but the user's. */
static const struct here_row {
    const char *name, *library, *variables;
} here_rows[] = {
    {"VIRTUAL_ENV is relative", PACKAGE("venv"), "VIRTUAL_ENV=venv"},
    {"CONDA_PREFIX is the current folder", PACKAGE("."), "CONDA_PREFIX=."},
    {"LD_LIBRARY_PATH is relative", "system/libonnxruntime.so.1", "LD_LIBRARY_PATH=/none:system"},
    {"LD_LIBRARY_PATH begins empty", "libonnxruntime.so.1", "LD_LIBRARY_PATH=:/none"},
    {"LD_LIBRARY_PATH ends empty", "libonnxruntime.so.1", "LD_LIBRARY_PATH=/none:"},
    {"LD_LIBRARY_PATH has an empty one", "libonnxruntime.so.1", "LD_LIBRARY_PATH='/none;;/none'"},
    {"a package here", PACKAGE("."), ""},
    {"a library here", "libonnxruntime.so", ""},
};

static void test_not_here(void **state)
{
    const struct here_row *row = *state;
    put("good", row->library);
    const char *text = search(row->variables, "");
    assert_int_equal(strncmp(text, NOT_FOUND, strlen(NOT_FOUND)), 0);
}

/* A folder above the command's is a prefix only where the command's is its bin. */
static void test_not_above_the_command(void **state)
{
    (void)state;
    put("good", PACKAGE("prefix"));
    const char *text = search_by("prefix/tools/engine_probe", "", "");
    assert_int_equal(strncmp(text, NOT_FOUND, strlen(NOT_FOUND)), 0);
    check_text(search("", ""), "1.20.3\n@/" PACKAGE("prefix") "\n");
}

/* A python3 that lies here, and one that answers with a folder that lies here. */
static void test_not_by_python_here(void **state)
{
    (void)state;
    put("good", "site/capi/libonnxruntime.so.1.20.3");
    put_python("python3", "site/capi");
    static const char *const paths[] = {"PATH=path", "PATH=:/none", "PATH=/none:path/"};
    assert_int_equal(symlink("path/python3", test_path("python3")), 0);
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_int_equal(strncmp(search(paths[i], ""), NOT_FOUND, strlen(NOT_FOUND)), 0);
    put_script("path/python3", "#!/bin/sh\nprintf site/capi\n");
    assert_int_equal(strncmp(search("", ""), NOT_FOUND, strlen(NOT_FOUND)), 0);
}

/* What Python is started with, for each PYTHONPATH. */
static const struct start_row {
    const char *name, *variables, *expected;
} start_rows[] = {
    {"none", "", ""},
    {"empty", "PYTHONPATH=", ""},
    {"relative", "PYTHONPATH=.", ""},
    {"the current folder in front", "PYTHONPATH=:/x", "/x"},
    {"the current folder behind", "PYTHONPATH=/x:", "/x"},
    {"mixed", "PYTHONPATH=/x:y:/z::./w", "/x:/z"},
    {"told to look here", "PYTHONSAFEPATH= PYTHONPATH=/x", "/x"},
    {"settings of the user's", "PYTHONUSERBASE=/base PYTHONPATHS=a", ""},
};

static void test_start_of_python(void **state)
{
    const struct start_row *row = *state;
    put_script("path/python3",
               test_printf("#!/bin/sh\nenv='%s'\npwd >\"$env\"\necho \"$PYTHONPATH\" >>\"$env\"\n"
                           "echo \"$PYTHONSAFEPATH$PYTHONUSERBASE$PYTHONPATHS\" >>\"$env\"\n",
                           test_path("env")));
    search(row->variables, "");
    const char *kept = strstr(row->variables, "/base") != NULL ? "/basea" : "";
    size_t nbytes;
    check_text((const char *)test_read_file(test_path("env"), &nbytes),
               test_printf("/\n%s\n1%s\n", row->expected, kept));
}

/* Paths of the test are cut to the same length whatever folder it has: their ends are compared. */
static void check_end(const char *text, const char *expected)
{
    size_t n = strlen(text), n_expected = strlen(expected);
    check_text(n >= n_expected ? text + n - n_expected : text, expected);
}

static void test_nowhere(void **state)
{
    (void)state;
    const char *text = search("VIRTUAL_ENV=/none", "");
    assert_int_equal(strncmp(text, NOT_FOUND, strlen(NOT_FOUND)), 0);
    check_end(text,
              "prefix: no onnxruntime package in it; VIRTUAL_ENV /none: no onnxruntime package "
              "in it; libonnxruntime.so.1: not in the system; python3: not there to be "
              "asked" HINT);
}

static void test_why_not(void **state)
{
    (void)state;
    put("good", "prefix/lib/python3.8/site-packages/onnxruntime/capi/_pybind_state.so");
    put("old", "system/libonnxruntime.so.1");
    put_python("python3", "none");
    const char *text = search("LD_LIBRARY_PATH=@/system", "");
    assert_int_equal(strncmp(text, NOT_FOUND, strlen(NOT_FOUND)), 0);
    check_end(text, "lib/python3.8/site-packages/onnxruntime/capi: no libonnxruntime.so in it (the "
                    "Python package has it from 1.19 on); libonnxruntime.so.1: too old: found "
                    "1.15.1, needs 1.16 or newer; @/none: cannot open: No such file or "
                    "directory" HINT);
}

/* A python that says nothing, one that says too much, and one that fails. */
static const struct python_row {
    const char *name, *script;
} python_rows[] = {
    {"nothing", "#!/bin/sh\n"},
    {"too much", "#!/bin/sh\nwhile printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; "
                 "do :; done\n"},
    {"fails", "#!/bin/sh\necho ModuleNotFoundError >&2\nexit 1\n"},
    {"goes on", "#!/bin/sh\nexec >&-\nwhile :; do :; done\n"},
};

static void test_python_without_package(void **state)
{
    const struct python_row *row = *state;
    put_python("python3", "none");
    test_write_file(test_path("path/python3"), row->script, strlen(row->script));
    check_end(search("", ""), "; libonnxruntime.so.1: not in the system; python3: has no "
                              "onnxruntime package" HINT);
}

int main(void)
{
    TEST_ROWS(test_found, found_rows);
    TEST(test_python);
    TEST(test_python_without_3);
    TEST(test_newest);
    TEST(test_order);
    TEST(test_passed_over);
    TEST_ROWS(test_not_here, here_rows);
    TEST(test_not_above_the_command);
    TEST(test_not_by_python_here);
    TEST_ROWS(test_start_of_python, start_rows);
    TEST(test_nowhere);
    TEST(test_why_not);
    TEST_ROWS(test_python_without_package, python_rows);
    return suite_run();
}
