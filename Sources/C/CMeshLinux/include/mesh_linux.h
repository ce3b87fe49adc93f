#ifndef MESH_LINUX_H
#define MESH_LINUX_H
#endif
