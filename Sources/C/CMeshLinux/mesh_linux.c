#include "mesh_linux.h"
