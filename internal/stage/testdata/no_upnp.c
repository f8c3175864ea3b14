// Stands in for libgupnp-igd, which libnice asks to open ports of a router: asks nobody. For TestSimpleWHIPClient.

extern void *g_object_new(unsigned long type, const char *first, ...);

static const unsigned long object = 20 << 2; // G_TYPE_OBJECT

unsigned long gupnp_simple_igd_get_type(void) { return object; }
void *gupnp_simple_igd_thread_new(void) { return g_object_new(object, 0); }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
