"""Simple names that the Java platform brings: what `java.lang` gives every file, and common packages by wildcard.

Facts of the Java SE API, for names that no import spells out. A name that two imported packages could give is not
guessed.
"""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRIMITIVES: Final = frozenset({"boolean", "byte", "char", "short", "int", "long", "float", "double"})

LANG: Final = _names("""
    AbstractMethodError Appendable ArithmeticException ArrayIndexOutOfBoundsException ArrayStoreException
    AssertionError AutoCloseable Boolean Byte CharSequence Character Class ClassCastException ClassLoader
    ClassNotFoundException CloneNotSupportedException Cloneable Comparable Deprecated Double Enum Error Exception
    ExceptionInInitializerError Float FunctionalInterface IllegalAccessException IllegalArgumentException
    IllegalMonitorStateException IllegalStateException IncompatibleClassChangeError IndexOutOfBoundsException
    InheritableThreadLocal InstantiationException Integer InterruptedException Iterable LinkageError Long Math Module
    NegativeArraySizeException NoClassDefFoundError NoSuchFieldError NoSuchFieldException NoSuchMethodError
    NoSuchMethodException NullPointerException Number NumberFormatException Object OutOfMemoryError Override Package
    Process ProcessBuilder ProcessHandle Readable Record ReflectiveOperationException Runnable Runtime RuntimeException
    SafeVarargs SecurityException SecurityManager Short StackOverflowError StackTraceElement StackWalker StrictMath
    String StringBuffer StringBuilder StringIndexOutOfBoundsException SuppressWarnings System Thread ThreadDeath
    ThreadGroup ThreadLocal Throwable TypeNotPresentException UnsatisfiedLinkError UnsupportedOperationException
    VerifyError VirtualMachineError Void
    """)

PACKAGES: Final[dict[str, frozenset[str]]] = {
    "java.io": _names("""
        BufferedInputStream BufferedOutputStream BufferedReader BufferedWriter ByteArrayInputStream
        ByteArrayOutputStream Closeable DataInputStream DataOutputStream EOFException Externalizable File
        FileInputStream FileNotFoundException FileOutputStream FileReader FileWriter FilterInputStream
        FilterOutputStream Flushable IOException InputStream InputStreamReader NotSerializableException ObjectInput
        ObjectInputStream ObjectOutput ObjectOutputStream OutputStream OutputStreamWriter PrintStream PrintWriter
        Reader Serializable StringReader StringWriter UncheckedIOException UnsupportedEncodingException Writer
        """),
    "java.math": frozenset({"BigDecimal", "BigInteger", "MathContext", "RoundingMode"}),
    "java.util": _names("""
        AbstractCollection AbstractList AbstractMap AbstractSet ArrayDeque ArrayList Arrays Base64 BitSet Calendar
        Collection Collections Comparator ConcurrentModificationException Currency Date Deque EmptyStackException
        EnumMap EnumSet Enumeration Formatter GregorianCalendar HashMap HashSet Hashtable IdentityHashMap
        InputMismatchException Iterator LinkedHashMap LinkedHashSet LinkedList List ListIterator Locale Map
        MissingResourceException NavigableMap NavigableSet NoSuchElementException Objects Optional OptionalDouble
        OptionalInt OptionalLong PriorityQueue Properties Queue Random RandomAccess ResourceBundle Scanner
        ServiceLoader Set SortedMap SortedSet Spliterator Stack StringJoiner StringTokenizer TimeZone Timer TimerTask
        TreeMap TreeSet UUID Vector WeakHashMap
        """),
    "java.util.concurrent": _names("""
        BlockingQueue Callable CompletableFuture ConcurrentHashMap ConcurrentLinkedQueue ConcurrentMap
        CopyOnWriteArrayList CountDownLatch CyclicBarrier ExecutionException Executor ExecutorService Executors Future
        FutureTask LinkedBlockingQueue Semaphore ThreadFactory ThreadPoolExecutor TimeUnit TimeoutException
        """),
    "java.util.function": _names("""
        BiConsumer BiFunction BiPredicate BinaryOperator BooleanSupplier Consumer DoubleFunction Function IntFunction
        IntPredicate IntUnaryOperator Predicate Supplier ToDoubleFunction ToIntFunction ToLongFunction UnaryOperator
        """),
    "java.util.stream": frozenset({"Collector", "Collectors", "DoubleStream", "IntStream", "LongStream", "Stream"}),
    "java.lang.reflect": _names("""
        AccessibleObject AnnotatedElement Array Constructor Executable Field InvocationHandler
        InvocationTargetException Member Method Modifier Parameter ParameterizedType Proxy Type
        """),
    "java.nio": _names("""
        Buffer ByteBuffer ByteOrder CharBuffer DoubleBuffer FloatBuffer IntBuffer LongBuffer ShortBuffer
        """),
    "java.nio.file": frozenset({"FileSystem", "FileSystems", "FileVisitResult", "Files", "Path", "Paths"}),
}
