/* SPDX-License-Identifier: MIT */
/* What cppcheck, which reads no system headers, must know of jansson's: its loops. */
#define json_array_foreach(array, i, value) for (i = 0; (value = json_array_get(array, i)); i++)
#define json_object_foreach(object, key, value) \
	for (key = next_key(object); (value = json_object_get(object, key)); key = next_key(object))
