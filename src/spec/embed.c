/* src/spec/embed.c - build tool: a file as a C array, so that programs need no data files.
 *
 *     embed NAME INPUT OUTPUT     defines `const char NAME[]`, ended by a zero byte, and NAME_len
 */
#include <stdio.h>

int main(int argc, char **argv)
{
    FILE *in, *out;
    size_t n = 0;
    int c;

    if (argc != 4 || !(in = fopen(argv[2], "rb")) || !(out = fopen(argv[3], "wb"))) {
        fprintf(stderr, "usage: embed NAME INPUT OUTPUT\n");
        return 2;
    }
    fprintf(out,
            "#include <stddef.h>\nextern const char %s[];\nextern const size_t %s_len;\n"
            "const char %s[] = {",
            argv[1], argv[1], argv[1]);
    while ((c = getc(in)) != EOF)
        fprintf(out, "%s%d,", n++ % 20 == 0 ? "\n" : "", (signed char)c);
    fprintf(out, "0 };\nconst size_t %s_len = %zu;\n", argv[1], n);
    return ferror(in) || fclose(out) != 0;
}
