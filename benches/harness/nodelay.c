// Preloaded into a server that does not set TCP_NODELAY: every connection that it accepts gets it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int without_delay(int connection)
{
    int on = 1;
    if (connection >= 0)
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    int (*libc)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    return without_delay(libc(listener, address, length, flags));
}

int accept(int listener, struct sockaddr *address, socklen_t *length)
{
    int (*libc)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");
    return without_delay(libc(listener, address, length));
}
