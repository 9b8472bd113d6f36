/* Slows the time of a process: preload it, and set BENCH_SLOWNESS to N. Each second then takes N seconds.
 *
 * All processes with the same N agree, since the slow time is the true monotonic time divided by N. The calendar
 * clock stays true, so that certificates are valid; gettimeofday() is slow, as PulseAudio takes differences of it.
 * libfaketime cannot do this: it leaves sem_clockwait() alone, by which Python waits for locks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#define CALENDAR_S 1000000000L /* A deadline after this second is a calendar time, as no machine runs for so long. */

static long slowness = 1;

__attribute__((constructor)) static void set_slowness(void)
{
	const char *given = getenv("BENCH_SLOWNESS");
	if (given && atol(given) > 0)
		slowness = atol(given);
}

/* glibc has old versions of pthread_cond_timedwait on some machines, and dlsym() may return one of them. */
static void *real(const char *name)
{
	void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
	return found ? found : dlsym(RTLD_NEXT, name);
}

#define REAL(name) \
	static __typeof__(name) *next; \
	if (!next) \
		next = real(#name)

static struct timespec slower(struct timespec time)
{
	long ns = (time.tv_sec % slowness * 1000000000L + time.tv_nsec) / slowness;
	return (struct timespec){time.tv_sec / slowness, ns};
}

static struct timespec longer(const struct timespec *time)
{
	long ns = time->tv_nsec * slowness;
	return (struct timespec){time->tv_sec * slowness + ns / 1000000000L, ns % 1000000000L};
}

static struct timespec due(const struct timespec *time)
{
	return time->tv_sec < CALENDAR_S ? longer(time) : *time;
}

static int longer_ms(int ms)
{
	if (ms <= 0)
		return ms;
	return ms > INT_MAX / slowness ? INT_MAX : (int)(ms * slowness);
}

static int is_slow(clockid_t clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
	       clock == CLOCK_BOOTTIME;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	REAL(clock_gettime);
	int failed = next(clock, time);
	if (!failed && is_slow(clock))
		*time = slower(*time);
	return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	REAL(gettimeofday);
	int failed = next(time, zone);
	if (!failed) {
		struct timespec slow = slower((struct timespec){time->tv_sec, time->tv_usec * 1000});
		*time = (struct timeval){slow.tv_sec, slow.tv_nsec / 1000};
	}
	return failed;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	REAL(nanosleep);
	struct timespec slow = longer(wanted);
	int failed = next(&slow, left);
	if (failed && left)
		*left = slower(*left);
	return failed;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
	REAL(clock_nanosleep);
	struct timespec slow = flags & TIMER_ABSTIME ? due(wanted) : longer(wanted);
	int failed = next(clock, flags, &slow, left);
	if (failed && left && !(flags & TIMER_ABSTIME))
		*left = slower(*left);
	return failed;
}

int usleep(useconds_t us)
{
	struct timespec wanted = {us / 1000000, us % 1000000 * 1000L};
	return nanosleep(&wanted, NULL);
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
	REAL(poll);
	return next(fds, count, longer_ms(ms));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wanted, const sigset_t *mask)
{
	REAL(ppoll);
	struct timespec slow = wanted ? longer(wanted) : (struct timespec){0};
	return next(fds, count, wanted ? &slow : NULL, mask);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
	REAL(epoll_wait);
	return next(epoll, events, most, longer_ms(ms));
}

int select(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict odd, struct timeval *restrict wanted)
{
	REAL(select);
	struct timeval slow = {0};
	if (wanted) {
		struct timespec time = longer(&(struct timespec){wanted->tv_sec, wanted->tv_usec * 1000});
		slow = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
	}
	return next(count, in, out, odd, wanted ? &slow : NULL);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
	REAL(sem_timedwait);
	struct timespec slow = due(until);
	return next(semaphore, &slow);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until)
{
	REAL(sem_clockwait);
	struct timespec slow = due(until);
	return next(semaphore, clock, &slow);
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
			   const struct timespec *restrict until)
{
	REAL(pthread_cond_timedwait);
	struct timespec slow = due(until);
	return next(cond, mutex, &slow);
}

int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t clock,
			   const struct timespec *restrict until)
{
	REAL(pthread_cond_clockwait);
	struct timespec slow = due(until);
	return next(cond, mutex, clock, &slow);
}
