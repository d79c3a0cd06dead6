#include <onnxq/onnxq.h>

int main(void)
{
    puts(onnxq_version());
    return 0;
}
