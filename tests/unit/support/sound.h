/*
 * What every graph that is written has to keep, whatever the rules do: each
 * name is made once in its scope and in none around it, before it is used;
 * no two nodes of a graph have the same name; operators of other domains
 * have their domain imported.
 */
#ifndef SUPPORT_SOUND_H
#define SUPPORT_SOUND_H

#include "onnx.pb-c.h"

/* Fails the test that runs where something is wrong. */
void check_sound(const Oq__Pb__ModelProto *model);

#endif
