"""Messages sealed by OpenSSL's command line with fixed keys: what both sides of 99bill's wire must agree with.

    openssl dgst -sha1 -sign KEY          openssl enc -aes-128-cbc -K DATA_KEY -iv 0...0
    openssl pkeyutl -encrypt -pubin -pkeyopt rsa_padding_mode:pkcs1

A signature and an encrypted text always come out the same; an envelope never does, so it can only be opened. The keys
are the two primes of each, made for this file and used nowhere else.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa


def _key(p: str, q: str) -> rsa.RSAPrivateKey:
    first, second = int(p, 16), int(q, 16)
    d = pow(65537, -1, (first - 1) * (second - 1))
    return rsa.RSAPrivateNumbers(
        first, second, d, rsa.rsa_crt_dmp1(d, first), rsa.rsa_crt_dmq1(d, second), rsa.rsa_crt_iqmp(first, second),
        rsa.RSAPublicNumbers(65537, first * second),
    ).private_key()  # fmt: skip


@dataclass(frozen=True)
class Vector:
    """One sealed message."""

    plaintext: bytes
    data_key: bytes
    signed_data: str
    encrypted_data: str
    digital_envelope: str


MEMBER = _key(
    "df6df2e52971506b7e2a0a7440d706b5ccd32cd58fc443a92d32e474acdb7a3f605a571d9a1050297728995002dcaff4b92f"
    "d101568067159943f8e1a1970349911f03d6f1b6dd07f73eb61e34b0b4bd1aeb7994078f48dd0526802a3350d9bc83e18725"
    "7f37b47d563dfc9b4205b3860dbb45731feaa057a132a85a76d906c9",
    "c4cb020feca1ffe64ba9a308caf8c073ccd6019fdc0aedfbd61ac6926d17684356a76caa2bfe487d3df40f268d93f0229b64"
    "af55fceb356468b7746193a8bd40c56f0cef31c1ed92eed19bedf384808a9f3f2a2fe34b0b8f1470e7f5031cdf09b88315b4"
    "8f347de60be41cfb2fb3702f75a1a5596ece50f0fb6e2840634fc723",
)

BILL99 = _key(
    "f7260cbe92d5877e2941af388082035bc51eca44408d4ff2f7ed0d811eed2520f7f3b65ce8c1d0bd8cab0ccf909f7a49d362"
    "4a0a2ec881e38ec15c6bee38f7bfa9367a84c32b97aec13062766d8b9bdc909d1ca5f99e72fa0b8ff19d2e07f4d40f380f3e"
    "55b2d3ffeb3b3af16c9aca2a95c957f414dcc71c99e968806bfb2423",
    "f6e2a817845c179cfcf0e8fb3062321c775bd93af562fc36198ff6b046889245e3db6d04b65ca4ba6a5edb1085d1ae7a3239"
    "28ba63f39017d0949e61b036cd88f8b103006d406d76dd58f777da729ea09d4ee96d868c3656efe7bd97e6afd95483c52abc"
    "93e3f6fdce6ea9935faae7cea0e1553071467aa7befd9daf8186cdb3",
)

PAY = Vector(
    plaintext=(
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><pay2bankOrder><orderId>WD103'
        "0KA1B2202603020405060010042</orderId><bankName>招商银行</bankName><creditName>张三</credit"
        "Name><mobile>13800000000</mobile><bankAcctId>6214830000000001</bankAcctId><amount>50"
        "00</amount><remark>提现 &lt;A&amp;B&gt;</remark><feeAction>1</feeAction></pay2bankOrde"
        "r>"
    ).encode(),
    data_key=b"5391207746018263",
    signed_data=(
        "AUyR9CE5Fw/8+Tt3kWbgjevRzrpKMz95ziIh9QyYPqKO5j12RCWNgKwdd/dLdn1WjDHyIPBAHemfkxaMuk6fYD5jeDNJrYWVkGr/wFhe"
        "/vzJLBUPPK8baBG2BRbJem8/wdZxWv7c8QUvqrMRL/iQgg+gog37CEgeNmWrujWAPlT0/HPMvXjHv7H1j4/oYZ4qVu+n/JdkLuYdjE5J"
        "OF3aUnhIflUm1+eJXlEL0sJlTsYsXisuDOiLlaibkuoH+yPFfiTbgULuH6ExLS737ymQaepOiQshGAXqmiFeIyOsYym7RcQMSNpdH8AA"
        "K9GHVfys/WYaynr+MKgHXazaXlJ//g=="
    ),
    encrypted_data=(
        "eN0cABtVe/OzNnkVTvEWqqdRr3CYoZgSWLVopQSjIG+Y8uEgeIX87QnSHACQHQ2J00JGRbqVgIw2xdyrHbiwctrEp5E24Nhup+Rl3oZ/"
        "M69+IZLGfWCpMplqdhNdMNquLCRSyOQdWHMHvCO2++ixBgY2whPSCzZWOTKNmv0ZAiwuBt8b8B0NCT28sj7kKk0K7XDnWtNYYqRPfKkw"
        "qHXbKMb8Sv53+Qj+MVtO1kYH4i8UkXrAj76WKUzJYRrXqbHkeLxtCKotxhStrh+28AfJful82KRkjB75CQijsXuSNaeSk1CESx5wjUGm"
        "iIafWt+7/aBYQ3GDkXhq8zBaEL2UWvPNa3fV0ybb2A+WQ0TFeQbQKmva3EepaUH1IoeYgQbbLif9s942hdnoBPGjTSxmXBlA1/7+yCvD"
        "gwgVUVLpEXYlUzX69y5iCcwsoj8P+K3srYYBvAOAu5eYjnqjFlJnonqh726VqTzT5zaKOQrWSiw="
    ),
    digital_envelope=(
        "BKGxGIKO0/huGgkBSv/3EAi91pQhzdeSW7bqDRSh9hC9a3P4wuNM1yCJiXE1z3fG1kMw4x61M2qNrPGJ54R12qOH7VACrqGStXdV5zEW"
        "GOp+oYryS0Ni+6sMNMoaC7ZOnybvOJYOBTcGOX98LcIPZ/EL3MexAIto6UwvYOUQ8HlhXS33y6FMFxaklbZyrtFii4wcaT7AiaYoPCU6"
        "WtPg6t80eo17W3zEjGraLBORNuhlw/aXa4ZjkYjPHzJCwVgGWE4WRTC023Vav1fiFlwEm7Y+R/UsrK35jJt7a20w+eVq6ZJqihmkf8pE"
        "E5NUwBbqZ/5G1lrMcGdvEVQ6yDWOiw=="
    ),
)

FOUND = Vector(
    plaintext=(
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><pay2bankSearchResult><pay2ba'
        "nkSearchResponseParam><orderId>WD1030KA1B2202603020405060010042</orderId><targetPage"
        ">1</targetPage><pageSize>20</pageSize><totalCnt>1</totalCnt></pay2bankSearchResponse"
        "Param><resultList><applyDate>2026-03-02 12:05:06</applyDate><orderId>WD1030KA1B22026"
        "03020405060010042</orderId><orderSeqId>1000000000000001</orderSeqId><bankName>招商银行</"
        "bankName><creditName>张三</creditName><bankAcctId>6214830000000001</bankAcctId><amount"
        ">5000</amount><fee>0</fee><feeAction>1</feeAction><status>111</status><errorCode>000"
        "0</errorCode><errorMsg></errorMsg><endDate>2026-03-02 12:05:11</endDate></resultList"
        "></pay2bankSearchResult>"
    ).encode(),
    data_key=b"8820146635970412",
    signed_data=(
        "K7bPWGjFjbvSHXEUASqvWCQea2a08LAE62ad9+CcNbCSeCt2ZVDA9mof7gbW1fFZfa77W8cZ4UA1Zaj54jYVeM7U7L/cMq/CUxx9GCqp"
        "KQFA8mi6f5pQijl5u6Q8thz31qppW27sbFx1eWlJKhXYQZ02lxOxxwAvhnNMr0xqUU9+l+UaryrrQv1GMiVNCZsJrFL05VJ2HWVd1VfO"
        "MspGeW3a9UA20x4XHoPdecQR53zAiGidAUIj3gGjSL2gc9b1b4UZ+vG57qZ8GI0ddlrSlMlFKk38+Uq8PQSmDSMQXN1r4UzGucEz3dpx"
        "xI5MaSAhHLQ937uMaKPjBjWvFIT55Q=="
    ),
    encrypted_data=(
        "KCV90t9BNo0+UDrbwXtaWTeULux+nxCSf3nwfxfuihgy0yCDrPntso4hmWiZQ9gLMTlBc5wHnfRe8FRSztn4SGEI1TlFL6zsI1Hb2ETc"
        "F72MzuXf6b9hBrjY8O4IKh8UO32KJRxNC97AOFhcMZjc0jXfftmXLHxgZINh8xhrUMGl3rzC3Ot6boBahXl71qV5PKAmlKkfOAViosTk"
        "U3BMAGZWgb2hi9UYQp9/LERipLE2qtYSkh8ZgdO8FSAXsb3ZhP9p+9+criJ8mvmOQ+NPzet9COCbUKrZIjrR4+oCeqFSy2bFA9/HynFW"
        "fPwGfBkP32xLzAqTczGEX2z0fTSpDxr71TrGKRNauaDbBE7mLCiBSn8ekktqsJyEYTk8BM5cia7+LwFs0vYk/oBDc1tov2S81uT8aFvM"
        "rgEjtxwmyId1l/RnclaNggz/2cRRVwS0MoU0SpSqnx2D1VYe/gJu/iBun7JxC+q4ezdzVlOKc1K2cbJF43bIripdMRW0R15DQB25lMiu"
        "Dc6vB7sTuEye2BO4PJkSaRogh/LRSNrq4KxhUA5wbxQRQ5qgItFkun4BaoIbrsnyLANOuw/ktH9GFvrPblj5/AREYvJwQxrmjjG9+xhL"
        "UnzjqGg2rkLTtlWnSCRAKStMZHkQVuezCnnyT14JgzKZqARUnZENi2LYrO5wH2GytTVYkBztZcOB6qFV1f79Xi3xhuwQaMXtm5kSiUab"
        "YbhqTq7oWMACIvr4VALOjHvTvb4JTxCL0oa7gH30bbGSnrAKzSVb7zTlbvjaSwePLI1ZlrKbQYIO2js093LINLgz4Wg8TXrYa+jZTdQM"
        "LiNi+StpOVgg1JCmMROcd+EMkl/eI2FEED5GSE9UcuqKFM7/w0vgOmS4gNNDLOwyjczKgWUbFnkuxb6pTr5E66+CWT58ZA5nxdNVL9VW"
        "EkS6owRKVeSDpBk204NHnrgS"
    ),
    digital_envelope=(
        "oScBjv6fEa2Ocvvtsyny9/tyjnNYuuECkGr8ezvt6b077yeUlI333Fzy2MK1e6dOC+pCQAU4gU89t0x5SGSmd8fKYl5ys7mLVJCDBbGS"
        "DSiePzkZ/Ph5JKVhxmVOiRBJvHqSM//2JkvVcUqs4Y/V15ii2t3A4Vxr2ME3yk3um/EjcQhT+zrfYULgNqOsKS0y32l73Gy+J1+hVCF/"
        "c1tg8loQLwXCaEKck8i9OVcJHJiQu6ef5LMsBkYoGErUM/YX/YZmgKf2L0o6xl0920qcdx4O2dbMaNVgoHCmRHOD0ZZoG57ZBfYTnmaC"
        "sr399HtN0JMByrgJyjfR5e5O6X3feQ=="
    ),
)
