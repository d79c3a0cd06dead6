/* Frames, steps and escaped text of pictures. */
#define _POSIX_C_SOURCE 200809L
#include "page/svg.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* --- the frame ------------------------------------------------------------------ */

void oq_picture_open(FILE *stream, int width, int height)
{
    fprintf(stream,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\">\n",
            width, height, width, height);
}

void oq_picture_ground(FILE *stream, int width, int height)
{
    fputs("<style>\n"
          "text{font:13px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;"
          "fill:#24292f}\n"
          ".head{font-size:17px;font-weight:600}.name{font-size:14px;font-weight:600}\n"
          ".soft{fill:#656d76;font-weight:400}.right{text-anchor:end}.middle{text-anchor:middle}\n"
          ".ground{fill:#fff}.grid{stroke:#d8dee4}.base{stroke:#8c959f}.mark{fill:#24292f;"
          "stroke:#24292f}\n"
          "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}"
          ".ground{fill:#0d1117}.grid{stroke:#30363d}.base{stroke:#6e7681}"
          ".mark{fill:#e6edf3;stroke:#e6edf3}}\n"
          "</style>\n",
          stream);
    fprintf(stream, "<rect class=\"ground\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", width,
            height);
}

/* --- numbers -------------------------------------------------------------------- */

double oq_plot_step(double range, unsigned most)
{
    double power = pow(10, floor(log10(range / most)));
    while (range / power > most) {
        if (range / (2 * power) <= most)
            return 2 * power;
        if (range / (5 * power) <= most)
            return 5 * power;
        power *= 10;
    }
    return power;
}

/* --- text ----------------------------------------------------------------------- */

/* Length in bytes of the next character; what cannot be shown, or is none, is replaced. */
static size_t next_character(const char **text)
{
    uint32_t character;
    size_t length = oq_utf8_decode(*text, strnlen(*text, 4), &character);
    if (length == 0 || oq_is_unsafe_to_show(character) || (character & 0xfffe) == 0xfffe)
        *text = "\xef\xbf\xbd";
    return length > 0 ? length : 1;
}

static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (const char *shown = text; *text != '\0'; shown = text, n++)
        text += next_character(&shown);
    return n;
}

void oq_write_escaped(FILE *stream, const char *text, size_t limit, oq_escape_fn escape)
{
    size_t n = count_characters(text), head = (limit - 2) / 2, tail = limit - 3 - head;
    for (size_t i = 0; *text != '\0'; i++) {
        const char *shown = text;
        size_t length = next_character(&shown);
        if (n <= limit || i < head || i >= n - tail)
            escape(stream, shown, shown == text ? length : strlen(shown), i == 0);
        else if (i == head)
            fputs("...", stream);
        text += length;
    }
}

void oq_escape_xml(FILE *stream, const char *character, size_t length, bool is_first)
{
    (void)is_first;
    switch (*character) {
    case '&':
        fputs("&amp;", stream);
        break;
    case '<':
        fputs("&lt;", stream);
        break;
    case '>':
        fputs("&gt;", stream);
        break;
    case '"':
        fputs("&quot;", stream);
        break;
    default:
        fwrite(character, 1, length, stream);
    }
}

void oq_plot_text(FILE *stream, const char *text, size_t limit)
{
    oq_write_escaped(stream, text, limit, oq_escape_xml);
}
