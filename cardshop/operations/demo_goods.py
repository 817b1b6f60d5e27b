"""What the demo shop sells. Every brand here is invented."""

from dataclasses import dataclass

from cardshop.operations.demo_pictures import Look
from inventory.models import StockDisplay


@dataclass(frozen=True)
class Offer:
    """One variant. No keys: sold out."""

    suffix: str
    name: str
    name_en: str
    price_minor: int
    keys: int = 200
    at_most: int = 10


@dataclass(frozen=True)
class TextOffer(Offer):
    """Every buyer gets the same."""

    text: str = ""


@dataclass(frozen=True)
class HandOffer(Offer):
    """Filled in by a person, who asks these things: each a name in both languages."""

    within_hours: int = 12
    free: int = 50
    asks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Goods:
    slug: str
    category: str
    name: str
    name_en: str
    summary: str
    summary_en: str
    description: str
    description_en: str
    look: Look
    offers: list[Offer]
    usage_notes: str = ""
    usage_notes_en: str = ""
    stock_display: StockDisplay = StockDisplay.EXACT


CATEGORIES = [
    ("games", "游戏点卡", "Games"),
    ("memberships", "会员订阅", "Memberships"),
    ("software", "软件激活", "Software"),
    ("gift-cards", "礼品卡", "Gift cards"),
]

PRODUCTS = [
    Goods(
        slug="liuli-crystals",
        category="games",
        name="琉璃境 · 晶石",
        name_en="Liuli Realm Crystals",
        summary="全服通用，兑换后立即到账。",
        summary_en="Good on every server, credited the moment you redeem them.",
        description="在游戏内「设置 → 兑换码」输入卡密，晶石会立即出现在邮箱里。\n\n"
        "- 官服与渠道服通用，不限角色等级\n- 每个卡密只能兑换一次，兑换后不可转赠\n"
        "- 卡密自购买之日起两年内有效",
        description_en="Enter the key under Settings → Redeem; the crystals arrive in your mailbox "
        "at once.\n\n- Works on all servers and at any character level\n"
        "- Each key can be redeemed once and cannot be passed on afterwards\n"
        "- Valid for two years from the day of purchase",
        look=Look("LIULI", "crystal", "#1b1f5e", "#5a49c8", "#4fc3d9"),
        offers=[
            Offer("60", "60 晶石", "60 crystals", 600),
            Offer("300", "300 晶石", "300 crystals", 2800),
            Offer("980", "980 晶石", "980 crystals", 8800),
            Offer("1980", "1980 晶石", "1,980 crystals", 16800),
        ],
        usage_notes="1. 打开游戏，进入「设置 → 兑换码」\n2. 输入卡密，**连字符也要输入**\n"
        "3. 到邮箱领取晶石\n\n提示“已使用”时请先看邮箱，再联系客服。",
        usage_notes_en="1. In the game, open Settings → Redeem\n2. Enter the key, **hyphens included**\n"
        "3. Collect the crystals from your mailbox\n\nIf it says “already used”, look there first.",
    ),
    Goods(
        slug="farhaven-pass",
        category="games",
        name="远港 · 第七季通行证",
        name_en="Farhaven Season 7 Pass",
        summary="一整季的航线、船帆与任务奖励。",
        summary_en="A whole season of routes, sails and quest rewards.",
        description="登录远港账号，在「船坞 → 激活」输入卡密，本季的奖励线随即解锁。\n\n"
        "- 标准版解锁全部 60 级奖励\n- 豪华版另加 15 级直升与季节限定船帆\n"
        "- 第七季结束前都可以激活",
        description_en="Sign in to Farhaven and enter the key under Dock → Activate; the season's "
        "reward track opens right away.\n\n- Standard opens all 60 levels\n"
        "- Deluxe adds a 15-level head start and the season's own sail\n"
        "- Can be activated until Season 7 ends",
        look=Look("FARHAVEN", "harbour", "#0d3b52", "#1f7a8c", "#f2a65a"),
        offers=[
            Offer("standard", "标准版", "Standard", 4800),
            Offer("deluxe", "豪华版", "Deluxe", 9800, keys=0),
        ],
    ),
    Goods(
        slug="evenstar-cinema",
        category="memberships",
        name="长庚影视会员",
        name_en="Evenstar Cinema",
        summary="手机、电脑、电视三端通用，无广告。",
        summary_en="On phone, computer and television, without advertisements.",
        description="打开长庚影视，在「我的 → 会员兑换」输入卡密即可。\n\n"
        "- 可与现有会员时长叠加\n- 最多两台设备同时观看\n- 支持全部 4K 片源",
        description_en="In Evenstar, go to Me → Redeem and enter the key.\n\n"
        "- Adds to the time you already have\n- Two devices at the same time\n"
        "- Includes everything in 4K",
        look=Look("EVENSTAR", "screen", "#3a1239", "#a23b72", "#f18f5b"),
        offers=[
            Offer("month", "月卡", "1 month", 1990),
            Offer("quarter", "季卡", "3 months", 5490),
            Offer("year", "年卡", "12 months", 18800),
        ],
        usage_notes="在「我的 → 会员兑换」输入卡密，会员时长立即增加。",
        usage_notes_en="Enter the key under Me → Redeem; the time is added at once.",
        stock_display=StockDisplay.FUZZY,
    ),
    Goods(
        slug="inkisle-notes",
        category="software",
        name="墨屿笔记 Pro",
        name_en="Inkisle Notes Pro",
        summary="离线优先的手写与文字笔记，全平台激活码。",
        summary_en="Handwriting and text, offline first. One key for every platform.",
        description="安装墨屿笔记后，在「关于 → 激活 Pro」输入激活码。\n\n"
        "- Windows、macOS、Linux、iOS、Android 通用\n- 一个激活码可用于三台设备\n"
        "- 永久版包含之后所有小版本更新",
        description_en="Install Inkisle Notes and enter the key under About → Activate Pro.\n\n"
        "- For Windows, macOS, Linux, iOS and Android\n- One key covers three devices\n"
        "- Lifetime includes all later minor versions",
        look=Look("INKISLE", "pages", "#17283f", "#35577d", "#d9b48f"),
        offers=[
            Offer("year", "一年", "1 year", 6800),
            Offer("lifetime", "永久版", "Lifetime", 19800, keys=6, at_most=3),
        ],
        usage_notes="安装后打开「关于 → 激活 Pro」，输入激活码并重新启动。",
        usage_notes_en="After installing, enter the key under About → Activate Pro and start it anew.",
    ),
    Goods(
        slug="kestrel-shield",
        category="software",
        name="隼盾安全套装",
        name_en="Kestrel Shield Security",
        summary="查杀、防火墙与隐私保护，一年授权。",
        summary_en="Antivirus, firewall and privacy protection for one year.",
        description="在隼盾主界面点击「授权 → 输入激活码」。授权从激活之日起计算，"
        "而不是从购买之日起。\n\n- 支持 Windows 10 以上与 macOS 12 以上\n- 续期可直接叠加",
        description_en="In Kestrel Shield choose Licence → Enter key. The year starts on the day of "
        "activation, not of purchase.\n\n- Windows 10 or later, macOS 12 or later\n"
        "- Renewals add up",
        look=Look("KESTREL", "shield", "#0c3b3e", "#1c7c74", "#9bd770"),
        offers=[
            Offer("1", "1 台设备 · 1 年", "1 device, 1 year", 4900),
            Offer("3", "3 台设备 · 1 年", "3 devices, 1 year", 9900),
            Offer("5", "5 台设备 · 1 年", "5 devices, 1 year", 13900),
        ],
    ),
    Goods(
        slug="murmur-music",
        category="memberships",
        name="絮语音乐会员",
        name_en="Murmur Music",
        summary="无损音质，离线下载，随时取消。",
        summary_en="Lossless sound and downloads. Does not renew by itself.",
        description="登录絮语音乐，在「会员中心 → 兑换」输入卡密。到期后不会自动续费。\n\n"
        "- 全曲库无损音质\n- 最多五台设备离线下载",
        description_en="Sign in to Murmur and enter the key under Membership → Redeem. It does not "
        "renew by itself.\n\n- The whole catalogue, lossless\n- Downloads on up to five devices",
        look=Look("MURMUR", "waves", "#2b1055", "#7a3fb5", "#f26d85"),
        offers=[
            Offer("month", "月卡", "1 month", 1200),
            Offer("year", "年卡", "12 months", 12800),
        ],
        stock_display=StockDisplay.HIDDEN,
    ),
    Goods(
        slug="pierhead-drive",
        category="memberships",
        name="栈桥云盘扩容",
        name_en="Pierhead Cloud Drive",
        summary="一年空间扩容，不限速上传与下载。",
        summary_en="More room for a year, uploads and downloads at full speed.",
        description="在栈桥云盘网页端「账户 → 空间 → 兑换」输入卡密，容量立即增加。\n\n"
        "- 与原有空间叠加\n- 到期前 30 天会收到提醒",
        description_en="On Pierhead's web site, enter the key under Account → Storage → Redeem; the "
        "space is there at once.\n\n- Adds to what you have\n- You are reminded 30 days before the end",
        look=Look("PIERHEAD", "cloud", "#123a73", "#2f7fd1", "#9fe0f5"),
        offers=[
            Offer("200g", "200 GB · 1 年", "200 GB, 1 year", 5800),
            Offer("2t", "2 TB · 1 年", "2 TB, 1 year", 19800),
        ],
    ),
    Goods(
        slug="mistmount-skin",
        category="games",
        name="雾山行者 · 典藏外观码",
        name_en="Mistmount Collector's Skin",
        summary="限量 500 份的典藏外观，附编号。",
        summary_en="A collector's skin, numbered, 500 made.",
        description="在雾山行者「收藏 → 兑换」输入外观码。每个账号只能兑换一份，编号按兑换先后排列。",
        description_en="Enter the code in Mistmount under Collection → Redeem. One per account; "
        "numbers follow the order of redemption.",
        look=Look("MISTMOUNT", "mountains", "#26343d", "#5d7a86", "#e5b9a0"),
        offers=[Offer("skin", "典藏外观", "Collector's skin", 12800, keys=0, at_most=1)],
    ),
    Goods(
        slug="starriver-gift",
        category="gift-cards",
        name="星河礼品卡",
        name_en="Starriver Gift Card",
        summary="送给喜欢挑选的人。",
        summary_en="For people who like to choose for themselves.",
        description="把卡密发给对方就可以了。对方在星河书屋结账时输入卡密，余额可分多次使用，三年有效。",
        description_en="Just pass the key on. It is entered at the checkout of Starriver Books, can "
        "be spent in parts and is good for three years.",
        look=Look("STARRIVER", "stars", "#161a45", "#3c3f9e", "#f0c36b"),
        offers=[
            Offer("50", "50 元", "¥50", 5000),
            Offer("100", "100 元", "¥100", 10000),
            Offer("200", "200 元", "¥200", 20000),
            Offer("500", "500 元", "¥500", 50000, keys=60, at_most=3),
        ],
    ),
    Goods(
        slug="lamplight-course",
        category="memberships",
        name="灯下摄影课 · 全套讲义",
        name_en="Lamplight Photography Course",
        summary="付款后立即得到网盘链接与提取码。",
        summary_en="The link and its password, the moment you have paid.",
        description="全套 36 讲讲义与样片，随课程更新。\n\n· 链接与提取码在付款后显示在订单页\n"
        "· 请勿转发，链接会不定期更换",
        description_en="All 36 lessons with sample pictures, kept up to date.\n\n"
        "· Link and password are on your order's page once it is paid\n"
        "· Please do not pass them on; they change from time to time",
        look=Look("LAMPLIGHT", "pages", "#3b2410", "#a8642a", "#f4c77b"),
        offers=[
            TextOffer(
                "all",
                "全套讲义",
                "All lessons",
                3900,
                keys=0,
                at_most=1,
                text="https://pan.lamplight.example/s/1ampL1ght\n提取码 / password: 7k2m",
            )
        ],
    ),
    Goods(
        slug="tideway-topup",
        category="games",
        name="潮汐航线 · 月桂币代充",
        name_en="Tideway Laurels Top-up",
        summary="留下角色编号，人工充值到账号。",
        summary_en="Leave your character's number; we credit it by hand.",
        description="填写区服与角色编号，付款后由人工充值，一般 12 小时内完成。\n\n"
        "· 不需要密码，也不要告诉任何人\n· 完成后订单页与邮件会通知",
        description_en="Enter server and character number. After you have paid, a person credits them, "
        "usually within 12 hours.\n\n· No password needed; never tell it to anybody\n"
        "· Your order's page and a mail tell you when it is done",
        look=Look("TIDEWAY", "waves", "#062c3d", "#0f7f96", "#8fe3c8"),
        offers=[
            HandOffer(
                "500",
                "500 月桂币",
                "500 laurels",
                4500,
                keys=0,
                at_most=3,
                asks=(("区服", "Server"), ("角色编号", "Character number")),
            )
        ],
    ),
]
